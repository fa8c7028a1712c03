"""What Prometheus reads."""

from __future__ import annotations

import math
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from fleetchatd.metrics import Numbers, render

HEALTH: dict[str, Any] = {
    "status": "degraded",
    "uptime_s": 12.5,
    "connector": {
        "reachable": True,
        "authenticated": True,
        "receiving": False,
        "last_receive_age_s": None,
    },
    "outbox": {"queued": 3, "waiting": 1, "failed": 2, "oldest_age_s": None},
    "journal": {"last_seq": 42, "size_bytes": 90112},
    "subscribers": [{"name": "a.b-c_D", "lag": 7}],
}


def samples(**counted: dict[str, int]) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus's own parser reads them."""
    numbers = Numbers(
        HEALTH,
        counted.get("events", {}),
        counted.get("messages", {}),
        counted.get("connector", {}),
    )
    text = render(lambda: numbers).decode()
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sample.labels.items()): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_number_is_a_sample_that_prometheus_can_read() -> None:
    found = samples(
        events={"message": 5, "delivery": 2},
        messages={"accepted": 4, "delivered": 2},
        connector={"refused_senders": 9, "gaps": 1},
    )
    assert math.isnan(found.pop("fleetchatd_last_receive_age_seconds"))
    assert found == {
        "fleetchatd_events_total type=message": 5,
        "fleetchatd_events_total type=delivery": 2,
        "fleetchatd_messages_total state=accepted": 4,
        "fleetchatd_messages_total state=delivered": 2,
        "fleetchatd_refused_senders_total": 9,
        "fleetchatd_gaps_total": 1,
        "fleetchatd_status": 1,
        "fleetchatd_uptime_seconds": 12.5,
        "fleetchatd_connector_reachable": 1,
        "fleetchatd_connector_authenticated": 1,
        "fleetchatd_connector_receiving": 0,
        "fleetchatd_outbox_queued": 3,
        "fleetchatd_outbox_waiting": 1,
        "fleetchatd_outbox_failed": 2,
        "fleetchatd_outbox_oldest_age_seconds": 0,
        "fleetchatd_journal_last_seq": 42,
        "fleetchatd_journal_size_bytes": 90112,
        "fleetchatd_subscriber_lag name=a.b-c_D": 7,
    }


def test_refused_senders_are_counted_from_zero() -> None:
    assert samples()["fleetchatd_refused_senders_total"] == 0
