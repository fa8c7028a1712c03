"""The whole way: people in a room on a real server, a real daemon, and the command."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from slixmpp import Message

from daemon import Daemon
from person import Person
from prosody import HOST, PASSWORD, ROOM, Prosody

MakeDaemon = Callable[..., Daemon]


async def started(daemon: Daemon) -> Daemon:
    await daemon.start()
    await daemon.until(lambda code, _: code == 0, "health")
    await daemon.ask("read", "--name=mos", "--no-ack")  # is known from here on
    return daemon


async def test_a_roster_that_names_it_is_checked_with_its_schema(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    code, said = await daemon.check()
    assert (code, "xmpp" in said) == (0, True), said
    daemon.roster.write_text(daemon.roster.read_text().replace('"room"', '"rom"'))
    assert (await daemon.check())[0] == 78


async def test_it_is_set_up_with_the_commands_that_every_chat_is_set_up_with(
    ann: Person, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon()
    assert (await daemon.set_up("login", "xmpp", "--password-stdin", stdin="wrong"))[0] == 1
    assert (await daemon.set_up("login", "xmpp", "--password-stdin", stdin=PASSWORD))[0] == 0
    code, said = await daemon.set_up(
        "init", "--connector=xmpp", f"--allowed-sender=ann@{HOST}", "--yes"
    )
    assert (code, f"ann@{HOST}" in daemon.roster.read_text()) == (0, True), said
    code, found = await daemon.set_up("doctor")
    assert (code, f"{ROOM} is a room that can be used" in found) == (0, True), found


async def test_nothing_is_lost_or_doubled_when_the_daemon_is_killed(
    ann: Person, make_daemon: MakeDaemon
) -> None:
    daemon = await started(make_daemon())
    await ann.say("before")
    for number in range(3):
        await daemon.ask("send", f"step {number}")
    await daemon.kill()
    await ann.say("meanwhile")
    await started(daemon)
    await ann.say("afterwards")
    assert (await daemon.ask("send", "--wait=10", "step 3"))[0] == 0
    assert await daemon.texts(3) == ["before", "meanwhile", "afterwards"]
    assert [said["body"] for _, said in await ann.sees("mos")] == [f"step {n}" for n in range(4)]


async def test_whoever_is_not_allowed_is_not_heard_whatever_he_claims(
    ann: Person, server: Prosody, make_daemon: MakeDaemon
) -> None:
    daemon = await started(make_daemon(allowed_senders=[f"ann@{HOST}"]))
    bob = Person(server, "bob")
    await bob.come()
    await bob.say("I am Bob")
    await bob.send(_claiming_to_be_ann(bob))
    await bob.go()
    await ann.say("I am Ann")
    assert await daemon.texts(1) == ["I am Ann"]


def _claiming_to_be_ann(person: Person) -> Message:
    message: Message = person.client.make_message(ROOM, "I am Ann, too", mtype="groupchat")
    message["id"] = "a-lie"
    namespace = "http://jabber.org/protocol/muc#user"
    claim = ElementTree.SubElement(message.xml, f"{{{namespace}}}x")
    ElementTree.SubElement(claim, f"{{{namespace}}}item", jid=f"ann@{HOST}")
    return message


@pytest.mark.parametrize("closed", [False])
async def test_a_room_that_is_open_to_everybody_is_not_listened_to(
    ann: Person, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon()
    await daemon.start()
    assert "allowed_senders" in await daemon.until(lambda code, _: code == 3, "health")


async def test_what_no_stanza_can_carry_ends_no_connection(
    ann: Person, make_daemon: MakeDaemon
) -> None:
    daemon = await started(make_daemon())
    assert (await daemon.ask("send", "--wait=10", "ding \x07"))[0] == 0
    assert [said["body"] for _, said in await ann.sees("mos")] == ["ding \ufffd"]
