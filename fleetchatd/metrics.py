"""`GET /v1/metrics`: what the daemon counted, in Prometheus's text format.

Nothing is registered while messages flow: the numbers stand where they arise, and are read when
somebody asks. The client library is loaded at the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is counted, and the health that the gauges are taken from.

    Attributes:
        health: the object of `GET /v1/health`, with its subscribers.
        events: events received, by type.
        messages: messages accepted and ended, by state.
        connector: what the connector counts by itself, `fleetchatd_NAME_total`.
    """

    health: Mapping[str, Any]
    events: Mapping[str, int]
    messages: Mapping[str, int]
    connector: Mapping[str, int]


def render(numbers: Callable[[], Numbers]) -> bytes:
    """The text of `/v1/metrics`."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Daemon(Collector):
        def collect(self) -> Iterable[Metric]:
            return _families(numbers())

    registry = CollectorRegistry()
    registry.register(Daemon())
    return generate_latest(registry)


def _families(numbers: Numbers) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    events = CounterMetricFamily("fleetchatd_events", "Events received", labels=["type"])
    for name, value in numbers.events.items():
        events.add_metric([name], value)
    yield events
    messages = CounterMetricFamily(
        "fleetchatd_messages", "Messages accepted, and ended by state", labels=["state"]
    )
    for name, value in numbers.messages.items():
        messages.add_metric([name], value)
    yield messages
    for name, value in {"refused_senders": 0, **numbers.connector}.items():
        yield CounterMetricFamily(f"fleetchatd_{name}", _sentence(name), value=value)
    for name, help_text, level in _gauges(numbers.health):
        yield GaugeMetricFamily(f"fleetchatd_{name}", help_text, value=level)
    lag = GaugeMetricFamily("fleetchatd_subscriber_lag", "Events not acknowledged", labels=["name"])
    for subscriber in numbers.health["subscribers"]:
        lag.add_metric([subscriber["name"]], subscriber["lag"])
    yield lag


def _gauges(health: Mapping[str, Any]) -> Iterable[tuple[str, str, float]]:
    connector, outbox, journal = health["connector"], health["outbox"], health["journal"]
    status = {"ok": 0, "degraded": 1, "down": 2}[health["status"]]
    yield "status", "0 ok, 1 degraded, 2 down", status
    yield "uptime_seconds", "Since the daemon started", health["uptime_s"]
    for name in ("reachable", "authenticated", "receiving"):
        yield f"connector_{name}", f"Whether the connector is {name}", float(connector[name])
    age = connector["last_receive_age_s"]
    yield "last_receive_age_seconds", "Since the receiver's last answer", _or_nan(age)
    for name in ("queued", "waiting", "failed"):
        yield f"outbox_{name}", f"Messages that are {name}", outbox[name]
    yield "outbox_oldest_age_seconds", "Age of the oldest unsettled", outbox["oldest_age_s"] or 0.0
    yield "journal_last_seq", "The newest event's seq", journal["last_seq"]
    yield "journal_size_bytes", "What the journal takes on the disk", journal["size_bytes"]


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _sentence(name: str) -> str:
    return name.replace("_", " ").capitalize()
