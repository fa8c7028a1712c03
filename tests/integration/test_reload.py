"""Reload: a good roster is switched to without losing anything, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually

TOKEN = "syt_c2VjcmV0_abcdefghijklmnop_1yZ2cd"
# A port on which nobody answers: the daemon runs, and says that it cannot be reached.
MATRIX = {
    "homeserver_url": "http://127.0.0.1:9",
    "user_id": "@mos:example.org",
    "room_id": "!abc:example.org",
}


async def kind(daemon: Daemon) -> Any:
    return (await daemon.api.health())["connector"]["kind"]


async def echoes(daemon: Daemon, text: str) -> bool:
    """Whether the present connector answers what is sent by repeating it."""
    async with daemon.api.events(types="message,delivery") as stream:
        await daemon.api.send(text)
        events = [await stream.next()]
        while events[-1]["type"] != "delivery":
            events.append(await stream.next())
        await daemon.api.send("end")
        while len([event for event in events if event["type"] == "delivery"]) < 2:
            events.append(await stream.next())
    return text in [event.get("text") for event in events]


def break_roster(daemon: Daemon) -> None:
    roster = yaml.safe_load(daemon.roster.read_text())
    roster["connector"] = {"kind": "memory", "memory": {"ecko": True, "delay_s": "soon"}}
    daemon.roster.write_text(yaml.safe_dump(roster))


async def test_a_good_roster_is_in_force_when_the_answer_comes(daemon: Daemon) -> None:
    assert not await echoes(daemon, "one")
    before = (await daemon.api.health())["roster"]
    daemon.reconfigure("memory", echo=True)
    reply = await daemon.api.reload()
    assert (reply.status, reply.body) == (200, {"reloaded": True})
    after = (await daemon.api.health())["roster"]
    assert after["loaded_at"] > before["loaded_at"]
    assert after["error"] is None
    assert await echoes(daemon, "two")


async def test_a_signal_reloads_too(daemon: Daemon) -> None:
    daemon.reconfigure("memory", echo=True)
    daemon.send_signal(signal.SIGHUP)

    async def reloaded() -> bool:
        return "roster reloaded" in daemon.log_text

    await eventually("the reload", reloaded)
    assert await echoes(daemon, "one")


async def test_an_unchanged_roster_leaves_the_connector_at_work(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(delay_s=3)
    await daemon.start()
    sent = await daemon.api.send("under way all the while")

    async def under_way() -> bool:
        return str((await daemon.api.message(sent["id"]))["state"]) == "sending"

    await eventually("the attempt", under_way)
    assert (await daemon.api.reload()).status == 200
    assert await under_way()  # nobody waited for it
    events = await daemon.api.pending(after=0, types="connector")
    assert len(events) == 1
    assert (await daemon.api.final(sent["id"]))["attempts"] == 1


@pytest.mark.parametrize("by_signal", [False, True], ids=["request", "signal"])
async def test_a_bad_roster_names_every_mistake_and_changes_nothing(
    daemon: Daemon, by_signal: bool
) -> None:
    break_roster(daemon)
    before = await daemon.api.health()
    if by_signal:
        daemon.send_signal(signal.SIGHUP)
    else:
        reply = await daemon.api.reload()
        assert (reply.status, reply.body["kind"]) == (422, "bad-roster")
        assert len(reply.body["errors"]) == 2
        for error in reply.body["errors"]:
            assert error.startswith(f"{daemon.roster}:")
            assert error in reply.body["detail"]
        assert "did you mean echo?" in reply.body["detail"]
    after = await daemon.api.wait_health(lambda health: health["roster"]["error"])
    assert "ecko" in after["roster"]["error"]
    assert "delay_s" in after["roster"]["error"]
    assert after["roster"]["loaded_at"] == before["roster"]["loaded_at"]
    assert after["connector"] | {"last_receive_age_s": 0} == before["connector"] | {
        "last_receive_age_s": 0
    }
    assert (await daemon.api.send("works on", wait_s=10))["state"] == "delivered"
    daemon.reconfigure("memory")
    assert (await daemon.api.reload()).status == 200
    assert (await daemon.api.health())["roster"]["error"] is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read the roster"),
        (b"", "roster.yaml"),
        (b"\xff\xfe\x00", "roster.yaml"),
        (b"a: [", "roster.yaml"),
        (b"[" * 10_000, "roster.yaml"),
    ],
)
async def test_a_roster_that_is_gone_or_garbage_changes_nothing(
    daemon: Daemon, content: bytes | None, says: str
) -> None:
    daemon.roster.unlink()
    if content is not None:
        daemon.roster.write_bytes(content)
    reply = await daemon.api.reload()
    assert (reply.status, reply.body["kind"]) == (422, "bad-roster")
    assert says in reply.body["detail"]
    assert await kind(daemon) == "memory"
    assert "Traceback" not in daemon.log_text


async def test_a_kind_without_its_secret_changes_nothing(daemon: Daemon) -> None:
    daemon.reconfigure("matrix", **MATRIX)
    reply = await daemon.api.reload()
    assert (reply.status, reply.body["kind"]) == (422, "bad-roster")
    assert "cannot find the secret matrix_access_token" in reply.body["errors"][0]
    assert await kind(daemon) == "memory"
    assert (await daemon.api.send("works on", wait_s=10))["state"] == "delivered"


def write_token(folder: Path, token: str) -> None:
    (folder / "matrix_access_token").write_text(token)


async def test_secrets_that_are_files_are_read_again(
    make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    write_token(tmp_path, TOKEN)
    daemon = make_daemon(env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    await daemon.start()
    daemon.reconfigure("matrix", **MATRIX)
    assert (await daemon.api.reload()).status == 200
    assert await kind(daemon) == "matrix"

    def switches() -> int:
        return daemon.log_text.count('"switched":true')

    assert switches() == 1
    assert (await daemon.api.reload()).status == 200
    assert switches() == 1
    write_token(tmp_path, TOKEN + "2")
    assert (await daemon.api.reload()).status == 200
    assert switches() == 2
    write_token(tmp_path, "not a token")
    reply = await daemon.api.reload()
    assert reply.status == 422
    assert "cannot use the secret" in reply.body["detail"]
    assert "not a token" not in reply.body["detail"] + daemon.log_text
    assert TOKEN not in daemon.log_text


async def test_what_is_queued_survives_the_switch_and_goes_out_by_the_new_connector(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    sent = [await daemon.api.send(str(number)) for number in range(20)]
    daemon.reconfigure("memory", echo=True)
    async with daemon.api.events(types="message") as stream:
        assert (await daemon.api.reload()).status == 200
        heard = [(await stream.next())["text"] for _ in range(19)]
    # The one under way ended on the old connector, which does not echo.
    assert heard == [str(number) for number in range(1, 20)]
    for message in sent:
        assert (await daemon.api.final(message["id"]))["state"] == "delivered"


async def test_no_message_is_lost_or_doubled_by_reloads_under_load(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    numbers = iter(range(400))
    sent: list[str] = []

    async def post() -> None:
        for number in numbers:
            await daemon.api.send(str(number), thread_id=f"t{number % 5}", wait_s=number % 2)
            sent.append(str(number))

    async def reload() -> None:
        for number in range(12):
            daemon.reconfigure("memory", echo=True, delay_s=0.001 * (number % 3))
            assert (await daemon.api.reload()).status == 200

    await asyncio.gather(reload(), *(post() for _ in range(8)))
    assert sorted(sent) == sorted(str(number) for number in range(400))
    messages = await daemon.api.history(direction="out", limit=1000)
    assert sorted(message["text"] for message in messages) == sorted(sent)
    for message in messages:
        assert (await daemon.api.final(message["id"]))["state"] == "delivered"
    # An echo that was on its way in the old connector ends with it: that chat is gone.
    heard = [event["text"] for event in await daemon.api.pending(types="message", after=0)]
    assert len(heard) == len(set(heard)) > 200
    metrics = await daemon.api.demand("GET", "/v1/metrics")
    assert f'fleetchatd_events_total{{type="message"}} {float(len(heard))}' in metrics
    assert 'fleetchatd_messages_total{state="delivered"} 400.0' in metrics


async def test_reloads_at_once_happen_one_after_the_other(daemon: Daemon) -> None:
    daemon.reconfigure("memory", echo=True)
    replies = await asyncio.gather(*(daemon.api.reload() for _ in range(10)))
    assert [reply.status for reply in replies] == [200] * 10
    assert daemon.log_text.count('"switched":true') == 1


async def test_a_reload_is_carried_through_when_its_client_goes_away(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    await daemon.api.send("keeps the old connector for two seconds")
    daemon.reconfigure("memory", echo=True)
    with pytest.raises(TimeoutError):
        await daemon.api.request("POST", "/v1/reload", timeout_s=0.5)

    async def reloaded() -> bool:
        return "roster reloaded" in daemon.log_text

    await eventually("the reload", reloaded)
    assert await echoes(daemon, "by the new one")


@pytest.mark.skipif(os.getuid() != 0, reason="acting as another user needs root")
async def test_only_root_and_the_daemons_user_may_reload(daemon: Daemon) -> None:
    daemon.socket.chmod(0o666)
    for folder in (daemon.socket.parent, daemon.directory, *daemon.directory.parents):
        if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    script = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1]); s.send(b'POST /v1/reload HTTP/1.0\\r\\n\\r\\n')\n"
        "print(s.recv(9999).decode())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(daemon.socket), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    assert b" 403 " in answer
    assert b'"kind":"forbidden"' in answer
