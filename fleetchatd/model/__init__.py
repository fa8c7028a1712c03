"""The nouns of the program: frozen values, no I/O.

Outbound, a `Draft` becomes a `Message` (journalled, with an id) whose `OutboundPart`s a connector
sends. Inbound, a connector turns what its chat says into `Event`s, which get a `seq` when the
journal commits them.
"""

from fleetchatd.model.events import (
    EVENT_CLASSES,
    EVENT_TYPES,
    Attachment,
    Batch,
    ConnectorEvent,
    DeliveryEvent,
    EditEvent,
    Event,
    EventClass,
    Filter,
    GapEvent,
    MessageEvent,
    ReactionEvent,
    RedactionEvent,
)
from fleetchatd.model.health import ConnectorHealth, HealthStatus
from fleetchatd.model.outbound import Draft, Format, Message, OutboundPart, SendResult, State
from fleetchatd.model.secret import Secret
from fleetchatd.model.times import rfc3339, rfc3339_of_ms

__all__ = [
    "EVENT_CLASSES",
    "EVENT_TYPES",
    "Attachment",
    "Batch",
    "ConnectorEvent",
    "ConnectorHealth",
    "DeliveryEvent",
    "Draft",
    "EditEvent",
    "Event",
    "EventClass",
    "Filter",
    "Format",
    "GapEvent",
    "HealthStatus",
    "Message",
    "MessageEvent",
    "OutboundPart",
    "ReactionEvent",
    "RedactionEvent",
    "Secret",
    "SendResult",
    "State",
    "rfc3339",
    "rfc3339_of_ms",
]
