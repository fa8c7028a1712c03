"""Health and metrics of the running daemon."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from fleetchatd import __version__
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon

SHAPE = {
    "status": str,
    "version": str,
    "uptime_s": float,
    "roster": {"path": str, "loaded_at": str, "error": None},
    "connector": {
        "kind": str,
        "reachable": bool,
        "authenticated": bool,
        "receiving": bool,
        "last_receive_age_s": None,
        "detail": None,
    },
    "outbox": {"queued": int, "waiting": int, "oldest_age_s": None, "failed": int},
    "journal": {"last_seq": int, "size_bytes": int},
    "subscribers": list,
}


def has_shape(value: object, shape: object) -> bool:
    """Whether all of the contract's fields are there, each of its type; more may be."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            name in value and has_shape(value[name], inner) for name, inner in shape.items()
        )
    return shape is None or (isinstance(shape, type) and type(value) is shape)


async def test_health_has_every_field_of_the_contract(daemon: Daemon) -> None:
    reply = await daemon.api.request("GET", "/v1/health")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    health = reply.body
    assert has_shape(health, SHAPE), health
    assert health["status"] == "ok"
    assert health["version"] == __version__
    assert health["roster"]["path"] == str(daemon.roster)
    assert health["connector"]["kind"] == "memory"
    assert health["subscribers"] == []


async def test_numbers_follow_what_happens(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    await daemon.api.pending(subscriber="slow")
    before = await daemon.api.health()
    for _ in range(3):
        await daemon.api.send("a")
    queued = (await daemon.api.health())["outbox"]
    assert queued["queued"] == 3
    assert 0 <= queued["oldest_age_s"] < 60
    after = await daemon.api.wait_health(lambda health: health["outbox"]["queued"] == 0)
    assert after["outbox"] == {"queued": 0, "waiting": 0, "oldest_age_s": None, "failed": 0}
    assert after["journal"]["last_seq"] == before["journal"]["last_seq"] + 3
    assert after["uptime_s"] > before["uptime_s"]
    assert after["subscribers"] == [{"name": "slow", "connected": False, "lag": 3}]


async def test_a_cancelled_message_is_a_failed_one_and_no_trouble(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    await daemon.api.send("under way")
    queued = await daemon.api.send("queued")
    await daemon.api.demand("DELETE", f"/v1/messages/{queued['id']}")
    health = await daemon.api.health()
    assert (health["status"], health["outbox"]["failed"]) == ("ok", 1)


async def test_a_chat_that_cannot_be_reached_is_degraded_and_messages_wait(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(
        kind="matrix",
        env={"MATRIX_ACCESS_TOKEN": "syt_x"},
        homeserver_url="http://127.0.0.1:9",
        user_id="@mos:example.org",
        room_id="!abc:example.org",
    )
    await daemon.start()
    health = await daemon.api.wait_health(lambda health: health["connector"]["detail"])
    reply = await daemon.api.request("GET", "/v1/health")
    assert (reply.status, health["status"]) == (200, "degraded")
    assert not health["connector"]["reachable"]
    assert not health["connector"]["receiving"]
    sent = await daemon.api.request("POST", "/v1/messages?wait_s=0.3", {"text": "a"})
    assert sent.status == 202
    assert (await daemon.api.health())["outbox"]["queued"] == 1
    events = await daemon.api.pending(after=0, types="connector")
    assert events[-1]["status"] == "degraded"


async def test_metrics_are_what_prometheus_reads_and_count_what_happened(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    await daemon.api.pending(subscriber="a", types="message")
    for _ in range(3):
        await daemon.api.send("a", wait_s=10)
    await daemon.api.pending(subscriber="b", from_="start", types="message", wait_s=5)
    reply = await daemon.api.request("GET", "/v1/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.body)
        for sample in family.samples
    }
    assert found["fleetchatd_messages_total", "accepted"] == 3
    assert found["fleetchatd_messages_total", "delivered"] == 3
    assert found["fleetchatd_events_total", "message"] == 3
    assert found["fleetchatd_refused_senders_total",] == 0
    assert found["fleetchatd_status",] == 0
    assert found["fleetchatd_connector_receiving",] == 1
    assert found["fleetchatd_subscriber_lag", "a"] == 3
