"""Everything that people and the orchestrator can say to each other, on a real Synapse."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.harness.daemon import Daemon
from tests.harness.rooms import Room
from tests.harness.waiting import eventually

TALK = "message,edit,redaction,reaction"


async def test_threads_replies_edits_reactions_and_names_reach_the_orchestrator(
    room: Room, daemon_in_room: Daemon
) -> None:
    human = room.human
    async with daemon_in_room.api.events(subscriber="mos", types=TALK) as stream:
        await human.set_display_name("Ann \u202eevil\nname")
        await human.wait_for(lambda event: "Ann" in event["content"].get("displayname", ""))
        root = await human.say("root")
        inside = await human.say("inside", thread=root)
        reply = await human.say("> <@x:y> quoted\n\nreply", reply_to=root)
        both = await human.say("reply in the thread", thread=root, reply_to=inside)
        edit = await human.edit(inside, "inside, mended")
        reaction = await human.react(root, "🚀")
        notice = await human.say("for information", msgtype="m.notice")
        emote = await human.say("waves", msgtype="m.emote")
        picture = await human.say(
            "plan.png",
            msgtype="m.image",
            url="mxc://fleet.test/abc",
            info={"mimetype": "image/png", "size": 42},
        )
        events = await stream.take(9)
    assert [event["id"] for event in events] == [
        *(root, inside, reply, both, edit, reaction, notice, emote, picture)
    ]
    told = [(event.get("text"), event.get("thread_id"), event.get("reply_to")) for event in events]
    assert told[:4] == [
        ("root", None, None),
        ("inside", root, None),
        ("reply", None, root),
        ("reply in the thread", root, inside),
    ]
    assert (events[4]["type"], events[4]["target"], events[4]["text"]) == (
        *("edit", inside, "inside, mended"),
    )
    assert (events[5]["target"], events[5]["key"]) == (root, "🚀")
    assert events[6]["text"] == "for information"
    assert events[7]["text"] == "* Ann evil name waves"
    assert events[0]["sender_name"] == "Ann evil name"
    assert events[8]["text"] == "plan.png"
    assert events[8]["attachments"] == [
        {
            "name": "plan.png",
            "mime": "image/png",
            "size_bytes": 42,
            "url": "mxc://fleet.test/abc",
        }
    ]


async def test_what_the_orchestrator_sends_looks_as_it_should(
    room: Room, daemon_in_room: Daemon
) -> None:
    api = daemon_in_room.api
    root = await room.human.say("root")
    inside = await room.human.say("inside", thread=root)
    async with api.events(from_="start", subscriber="mos", types="message") as stream:
        await stream.until(lambda event: event["id"] == inside)
    markdown = "# Report\n\n**done** <script>alert(1)</script> @room `x < y`"
    marked = await api.send(markdown, wait_s=20, thread_id=root)
    reply = await api.send("yes", wait_s=20, reply_to=root)
    plain = await api.send("**not bold**", wait_s=20, format="plain", notice=True)
    events = {event["event_id"]: event["content"] for event in await room.human.messages()}
    content = events[marked["remote_id"]]
    assert content["body"] == markdown
    assert "<h1>Report</h1>" in content["formatted_body"]
    assert "<strong>done</strong>" in content["formatted_body"]
    assert "<script" not in content["formatted_body"]
    assert content["m.mentions"] == {}
    assert content["m.relates_to"] == {
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": inside},
    }
    assert events[reply["remote_id"]]["m.relates_to"] == {"m.in_reply_to": {"event_id": root}}
    assert events[plain["remote_id"]]["msgtype"] == "m.notice"
    assert "formatted_body" not in events[plain["remote_id"]]


async def test_own_messages_are_no_events(room: Room, daemon_in_room: Daemon) -> None:
    api = daemon_in_room.api
    async with api.events(subscriber="mos", types=TALK) as stream:
        await api.send("mine", wait_s=20)
        await room.bot_hands.say("mine too, from another client")
        await room.human.say("yours")
        assert (await stream.next())["text"] == "yours"


async def test_a_long_text_goes_out_in_parts_without_losing_a_character(
    room: Room, daemon_in_room: Daemon
) -> None:
    paragraph = 'Ein Absatz mit **Gewicht**, äöü und "Anführung", gefolgt von mehr.\n\n'
    text = "".join(f"{number} {paragraph}" for number in range(2_700))
    assert len(text.encode()) > 200_000
    sent = await daemon_in_room.api.send(text, wait_s=60)
    assert sent["state"] == "delivered"
    assert len(sent["remote_ids"]) > 3
    assert sent["remote_id"] == sent["remote_ids"][0]
    events = await room.human.messages(sender=room.bot.user_id)
    assert [event["event_id"] for event in events] == sent["remote_ids"]
    assert "".join(event["content"]["body"] for event in events) == text


async def test_what_is_taken_back_is_gone_from_the_journal_too(
    room: Room, daemon_in_room: Daemon
) -> None:
    async with daemon_in_room.api.events(subscriber="mos", types=TALK) as stream:
        said = await room.human.say("the password is Rosenrot4711")
        edit = await room.human.edit(said, "the password was Rosenrot4711")
        await stream.take(2)
        redaction = await room.human.redact(said, "not for you")
        event = await stream.next()
    assert (event["type"], event["id"], event["target"]) == ("redaction", redaction, said)
    assert event["sender"] == room.human.user_id
    kept = await daemon_in_room.api.pending(subscriber="mos", types=TALK)
    assert [item.get("target") or item["id"] for item in kept] == [said, said, said]
    assert edit == kept[1]["id"]
    assert "Rosenrot" not in str(kept)

    async def gone() -> bool:
        files = [path for path in daemon_in_room.state_dir.rglob("*") if path.is_file()]
        return not any(b"Rosenrot4711" in path.read_bytes() for path in files)

    await eventually("the text gone from every file", gone)


async def test_people_see_what_the_orchestrator_has_read(
    room: Room, daemon_in_room: Daemon
) -> None:
    """Any subscriber's reading counts until there is one named like the orchestrator."""
    api = daemon_in_room.api

    async def read_by(name: str, text: str) -> str:
        event_id = await room.human.say(text)
        async with api.events(subscriber=name, types="message", from_="start") as stream:
            event = await stream.until(lambda event: event["text"] == text)
        await api.ack(name, event["seq"])
        return event_id

    async def receipt() -> str | None:
        answer = await room.human.ask("GET", "/_matrix/client/v3/sync")
        ephemeral = answer.body["rooms"]["join"][room.room_id]["ephemeral"]["events"]
        seen: dict[str, Any] = {}
        for event in ephemeral:
            seen |= event["content"] if event["type"] == "m.receipt" else {}
        return next(
            (
                event_id
                for event_id, kinds in seen.items()
                if room.bot.user_id in kinds.get("m.read", {})
            ),
            None,
        )

    first = await read_by("watcher", "one")
    await eventually("the first receipt", lambda: _same(receipt, first))
    second = await read_by("mos", "two")
    await eventually("the second receipt", lambda: _same(receipt, second))
    await read_by("watcher", "three")
    fourth = await read_by("mos", "four")
    await eventually("the last receipt", lambda: _same(receipt, fourth))


async def _same(ask: Any, wanted: str) -> bool:
    return bool(await ask() == wanted)


async def test_many_things_said_at_once_both_ways_keep_their_order_in_each_thread(
    room: Room, daemon_in_room: Daemon
) -> None:
    api = daemon_in_room.api
    roots = [await room.human.say(f"root {number}") for number in range(3)]
    async with api.events(subscriber="mos", types="message", from_="start") as stream:
        await stream.until(lambda event: event["id"] == roots[-1])

        async def talk(thread: str | None, name: str) -> None:
            for number in range(8):
                await api.send(f"{name} {number}", thread_id=thread)

        threads = [(None, "main"), *((root, f"t{i}") for i, root in enumerate(roots))]
        human = [f"heard {number}" for number in range(20)]
        talks = asyncio.gather(*(talk(thread, name) for thread, name in threads))
        for text in human:
            await room.human.say(text)
        await talks
        heard = [event["text"] for event in await stream.take(20)]
    assert heard == human
    for _, name in threads:
        await room.human.hears(f"{name} 7")
    said = await room.said_by_bot()
    assert len(said) == 32
    for _, name in threads:
        mine = [text for text in said if re.match(rf"{name} \d", text)]
        assert mine == [f"{name} {number}" for number in range(8)]
