"""`fleetchat doctor` where everything works, and where one thing does not; `--round-trip`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import pytest

from fleetchatd.tmux.spool import Spool
from tests.fakes import faults
from tests.fakes.calls import Answer, Call
from tests.fakes.discord.server import FakeDiscord
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.daemon import Daemon
from tests.harness.discord import daemon_in_channel
from tests.harness.examination import Examination, examine
from tests.harness.fleet import Fleet
from tests.harness.ports import Port
from tests.harness.rooms import MakeDaemon, MakeRoom, Room
from tests.harness.synapse import Synapse
from tests.harness.tmux import Tmux

NO_DAEMON = "cannot reach fleetchatd"

Break = Callable[[Room, Daemon], Awaitable[object]]


def beside(found: Examination, words: str) -> Examination:
    """What was found but for one finding, which must be there."""
    expected = found.finding(words)
    rest = [finding for finding in found.findings if finding is not expected]
    return Examination(found.code, rest, found.summary)


# -- everything works -----------------------------------------------------------------------------


async def test_in_a_room_of_a_real_homeserver_everything_is_ok(
    daemon_in_room: Daemon, room: Room
) -> None:
    await daemon_in_room.api.wait_health(lambda health: health["status"] == "ok")
    found = await examine(daemon_in_room, "doctor")
    assert (found.code, found.troubles) == (0, [])
    for words in (
        f"{room.synapse.base_url} is a Matrix homeserver",
        f"logged in as {room.bot.user_id}",
        f"{room.bot.user_id} is in room {room.room_id}",
        f"the daemon on {daemon_in_room.socket} is well",
    ):
        found.finding(words)
    assert await room.said_by_bot() == []


async def test_on_a_kind_that_brings_no_guide_everything_is_ok(daemon: Daemon) -> None:
    found = await examine(daemon, "doctor")
    assert (found.code, found.troubles) == (0, [])
    found.finding("it brings nothing that could look at its chat")


async def test_at_the_operators_console_everything_is_ok(fleet: Fleet, tmux: Tmux) -> None:
    await tmux.session("mos")
    found = await examine(fleet.daemon, "doctor")
    assert (found.code, found.troubles) == (0, [])
    found.finding("the console runs in session operator")


# -- the chat does not work -----------------------------------------------------------------------


async def _somebody_elses_token(room: Room, daemon: Daemon) -> None:
    daemon.env["MATRIX_ACCESS_TOKEN"] = room.human.account.access_token


async def _no_secret(room: Room, daemon: Daemon) -> None:
    del daemon.env["MATRIX_ACCESS_TOKEN"]


async def _encrypted(room: Room, daemon: Daemon) -> None:
    await room.human.set_state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})


async def _open(room: Room, daemon: Daemon) -> None:
    await room.human.set_state("m.room.join_rules", {"join_rule": "public"})


async def _silenced(room: Room, daemon: Daemon) -> None:
    await room.human.set_state("m.room.power_levels", {"events_default": 50})


async def _absent_sender(room: Room, daemon: Daemon) -> None:
    daemon.reconfigure("matrix", **room.settings, allowed_senders=["@nobody:localhost"])


async def _no_such_room(room: Room, daemon: Daemon) -> None:
    daemon.reconfigure(
        "matrix", **room.settings | {"room_id": f"#nowhere:{room.synapse.server_name}"}
    )


async def _nobody_listens(room: Room, daemon: Daemon) -> None:
    port = Port()
    daemon.reconfigure("matrix", **room.settings | {"homeserver_url": port.base_url})
    port.close()


CHATS: dict[str, tuple[Break, str, str, str]] = {
    "the token is another user's": (
        _somebody_elses_token,
        *("error", "the access token belongs to", "fleetchat login matrix"),
    ),
    "there is no token": (
        _no_secret,
        *("error", "cannot find the secret matrix_access_token", "fleetchat login matrix"),
    ),
    "the token was withdrawn": (
        lambda room, daemon: room.bot_hands.logout(),
        *("error", "refuses the access token", "login matrix"),
    ),
    "the bot was thrown out": (
        lambda room, daemon: room.human.kick(room.bot.user_id),
        *("error", "was kicked by", "invite it again"),
    ),
    "the room is encrypted": (_encrypted, *("error", "encrypted", "")),
    "the room is open to everybody": (_open, *("error", "", "allowed_senders")),
    "the bot may not write": (_silenced, *("error", "may not write", "raise it to 50")),
    "nobody who may speak is there": (
        _absent_sender,
        *("warning", "@nobody:localhost", "invite them"),
    ),
    "there is no such room": (
        _no_such_room,
        *("error", "there is no room #nowhere:", "connector.matrix.room_id"),
    ),
    "nobody listens there": (_nobody_listens, *("error", "Connection refused", "homeserver_url")),
}


@pytest.mark.parametrize("name", CHATS)
async def test_what_is_wrong_with_the_chat_is_found_alone_with_its_remedy(
    name: str, make_daemon: MakeDaemon, room: Room
) -> None:
    damage, level, what, remedy = CHATS[name]
    daemon = make_daemon(room)
    await damage(room, daemon)
    beside(await examine(daemon, "doctor"), NO_DAEMON).only(level, what, remedy)


async def test_a_clock_that_is_wrong_is_told(make_daemon: MakeDaemon, fake: FakeMatrixRoom) -> None:
    async def an_hour_later(_call: Call, process: faults.Process) -> Answer:
        answer = await process()
        later = formatdate(time.time() + 3600, usegmt=True)
        return Answer(answer.status, answer.body, {**answer.headers, "Date": later})

    fake.server.fail("GET", "*/versions", an_hour_later, times=None)
    found = beside(await examine(make_daemon(fake), "doctor"), NO_DAEMON)
    found.only("warning", "clock is 60 minutes behind", "NTP")


# -- the daemon -----------------------------------------------------------------------------------


async def test_that_no_daemon_runs_is_told_with_the_command_that_starts_it(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    found = await examine(daemon, "doctor")
    found.only("warning", NO_DAEMON, f"fleetchatd --roster {daemon.roster}")


async def test_a_daemon_with_another_roster_is_told(daemon: Daemon) -> None:
    daemon.roster = daemon.roster.rename(daemon.directory / "other.yaml")
    found = await examine(daemon, "doctor")
    found.only("warning", "the daemon runs with the roster", "--roster")


async def test_what_was_not_named_is_looked_for_where_the_daemon_has_it(
    daemon_in_room: Daemon,
) -> None:
    found = await examine(daemon_in_room, "doctor", "--roster", "", "--state-dir", "")
    assert (found.code, found.troubles) == (0, [])
    found.finding(f"roster {daemon_in_room.roster}: ")
    found.finding(f"state directory {daemon_in_room.state_dir}: ")


async def test_a_roster_that_changed_since_it_was_loaded_is_told(daemon: Daemon) -> None:
    later = time.time() + 1
    os.utime(daemon.roster, (later, later))
    (await examine(daemon, "doctor")).only("warning", "has changed since", "fleetchat reload")


async def test_a_reload_that_was_refused_is_told(daemon: Daemon) -> None:
    good = daemon.roster.read_text()
    daemon.roster.write_text("agents: []")
    assert (await daemon.api.reload()).status == 422
    daemon.roster.write_text(good)
    found = await examine(daemon, "doctor")
    found.only("error", "has refused the roster at its last reload", "fleetchat reload")


async def test_a_message_that_failed_is_told(daemon_in_room: Daemon, room: Room) -> None:
    message = await daemon_in_room.api.send("hello", thread_id="$none", wait_s=20)
    assert message["state"] == "failed"
    found = await examine(daemon_in_room, "doctor")
    found.only("warning", "1 message failed", "fleetchat retry ID")


async def test_a_daemon_in_trouble_is_told_with_its_own_words(
    make_daemon: MakeDaemon, fake: FakeMatrixRoom
) -> None:
    daemon = make_daemon(fake)
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    fake.server.fail("GET", "*/sync", faults.refuse(500), times=None)
    fake.room.say(fake.human.user_id, "wake up")
    await daemon.api.wait_health(lambda health: health["status"] == "degraded")
    trouble = (await examine(daemon, "doctor")).finding(f"{daemon.socket} is degraded")
    assert trouble.level == "warning"


async def test_somebody_else_on_the_socket_is_an_error_and_no_traceback(
    make_daemon: MakeDaemon,
) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    daemon = make_daemon()
    async with await asyncio.start_unix_server(talk, daemon.socket):
        daemon.socket.chmod(0o600)
        found = await examine(daemon, "doctor")
    found.only("error", "cannot understand the answer", "is it fleetchatd that listens")


async def test_a_secret_that_only_the_daemon_can_see_is_no_trouble(
    daemon_in_room: Daemon,
) -> None:
    found = await examine(daemon_in_room, "doctor", MATRIX_ACCESS_TOKEN=None)
    assert (found.code, found.troubles) == (0, [])
    found.finding("the daemon has it")


# -- the round trip -------------------------------------------------------------------------------


async def _one_test_in(room: Room | FakeMatrixRoom) -> None:
    (text,) = await room.said_by_bot()
    assert text.startswith("This is a test")
    assert "fleetchat doctor --round-trip" in text


async def test_a_round_trip_through_the_daemon_puts_one_message_into_the_room(
    daemon_in_room: Daemon, room: Room
) -> None:
    found = await examine(daemon_in_room, "doctor", "--round-trip")
    assert (found.code, found.troubles) == (0, [])
    found.finding("round trip: the chat took a message in")
    await _one_test_in(room)


async def test_a_round_trip_without_a_daemon_puts_one_message_into_the_room(
    make_daemon: MakeDaemon, make_room: MakeRoom, synapse: Synapse
) -> None:
    room = await make_room(synapse, joined=False)  # invited, it joins as a daemon would
    daemon = make_daemon(room)
    found = beside(await examine(daemon, "doctor", "--round-trip"), NO_DAEMON)
    assert (found.code, found.troubles) == (0, [])
    found.finding("round trip: the chat took a message in")
    await _one_test_in(room)
    assert not (daemon.state_dir / "journal.db").exists()


async def test_a_round_trip_without_a_daemon_puts_one_message_into_a_discord_channel(
    make_daemon: MakeDaemon,
) -> None:
    async with FakeDiscord() as server:
        channel = server.furnish()
        daemon = daemon_in_channel(make_daemon, channel)
        found = beside(await examine(daemon, "doctor", "--round-trip"), NO_DAEMON)
        assert (found.code, found.troubles) == (0, [])
        (text,) = channel.said_by_bot()
    assert text.startswith("This is a test")


async def test_a_round_trip_whose_answer_is_lost_is_an_error_and_still_one_message(
    make_daemon: MakeDaemon, fake: FakeMatrixRoom
) -> None:
    fake.server.fail("PUT", "*/send/*", faults.lose_answer(), times=None)
    found = beside(await examine(make_daemon(fake), "doctor", "--round-trip"), NO_DAEMON)
    found.only("error", "round trip: a message was sent, perhaps", "look into the chat")
    await _one_test_in(fake)


async def test_nothing_is_sent_where_something_is_wrong(
    make_daemon: MakeDaemon, room: Room
) -> None:
    daemon = make_daemon(room)
    await _encrypted(room, daemon)
    found = await examine(daemon, "doctor", "--round-trip")
    assert found.finding("round trip: nothing was sent").level == "error"
    assert await room.said_by_bot() == []


async def test_nothing_is_sent_while_a_daemon_that_does_not_answer_holds_the_state_directory(
    daemon: Daemon, tmp_path: Path
) -> None:
    daemon.socket = tmp_path / "another.sock"
    found = beside(await examine(daemon, "doctor", "--round-trip"), NO_DAEMON)
    found.only("error", "another fleetchatd holds it", "stop that one")


async def test_a_round_trip_without_a_daemon_shows_one_message_at_the_console(
    fleet: Fleet, tmux: Tmux
) -> None:
    await tmux.session("mos")
    await fleet.daemon.terminate()
    found = beside(await examine(fleet.daemon, "doctor", "--round-trip"), NO_DAEMON)
    assert found.troubles == []
    (text,) = await fleet.seen()
    assert "This is a test" in text


async def test_what_the_operator_has_said_waits_for_the_daemon_and_not_for_a_round_trip(
    fleet: Fleet, tmux: Tmux
) -> None:
    await tmux.session("mos")
    await fleet.daemon.terminate()
    Spool(fleet.daemon.state_dir).submit("do not lose me", None)
    found = beside(await examine(fleet.daemon, "doctor", "--round-trip"), NO_DAEMON)
    found.only("error", "the daemon must take in first", "start fleetchatd")
    assert await fleet.seen() == []
    await fleet.start()
    await fleet.heard("do not lose me")
