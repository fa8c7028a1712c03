"""The scripted homeserver answers as a real Synapse does: one scenario, one client, both servers.

This is what allows other tests to believe the fake. Compared are status, error code and the
shape and order of everything that a client of one room looks at; ids, tokens and times are
replaced by names first, and what the fake does not know (push rules, counters, ages) is left out.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.fakes.homeserver import FakeHomeserver
from tests.harness import matrix_http
from tests.harness.human import Account, Human
from tests.harness.matrix_http import Answer, path
from tests.harness.synapse import Synapse

pytestmark = pytest.mark.synapse

SYNC = "/_matrix/client/v3/sync"
SMALL = {"room": {"timeline": {"limit": 3}, "state": {"lazy_load_members": True}}}


class Names:
    """Replaces what is random by names in the order of appearance."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._names = dict(known)

    def of(self, value: str) -> str:
        def name(found: re.Match[str]) -> str:
            return self._names.setdefault(found[0], f"<{found[0][0]}{len(self._names)}>")

        value = re.sub(r"[$!][A-Za-z0-9_-]{43}", name, value)
        for known, short in self._names.items():
            value = value.replace(known, short)
        return value


class Scenario:
    """Drives a server and keeps what it answered, comparable."""

    def __init__(self, human: Human, bot: Human) -> None:
        self.human, self.bot = human, bot
        self.seen: list[tuple[str, Any]] = []
        known = {human.user_id: "@ann", bot.user_id: "@bot", bot.account.device_id: "DEVICE"}
        known |= {human.user_id[1:].split(":")[0]: "ann", bot.user_id[1:].split(":")[0]: "bot"}
        self.alias = f"fleet-{secrets.token_hex(4)}"
        self._names = Names(known | {self.alias: "fleet"})

    def note(self, what: str, answer: Answer, shape: Callable[[Any], Any] = lambda x: x) -> Any:
        """Keep an answer under its name; return its raw body."""
        body = answer.body
        if answer.status >= 400 and isinstance(body, dict):
            kept = {key: body[key] for key in ("errcode", "soft_logout") if key in body}
        else:
            kept = self._named(shape(json.loads(json.dumps(body))))
        self.seen.append((f"{what}: {answer.status}", kept))
        return body

    def _named(self, value: Any) -> Any:
        if isinstance(value, dict):
            named = {self._names.of(str(key)): inner for key, inner in value.items()}
            return {key: self._named(named[key]) for key in sorted(named)}
        if isinstance(value, list):
            return [self._named(inner) for inner in value]
        return self._names.of(value) if isinstance(value, str) else value

    async def bot_does(
        self, what: str, method: str, where: str, body: object = None, **query: str
    ) -> Any:
        return self.note(what, await self.bot.ask(method, where, body, query), shape_any)

    async def bot_syncs(self, what: str, since: str | None, flt: object = None, **q: str) -> str:
        query = {"timeout": "0", **q}
        if since is not None:
            query["since"] = since
        if flt is not None:
            query["filter"] = flt if isinstance(flt, str) else json.dumps(flt)
        body = self.note(what, await self.bot.ask("GET", SYNC, query=query), shape_sync)
        return str(body.get("next_batch"))


def shape_event(event: Any) -> Any:
    """What a client reads of an event."""
    if not isinstance(event, dict):
        return event
    keys = ("type", "state_key", "sender", "content", "redacts", "event_id")
    kept = {key: event[key] for key in keys if key in event}
    kept["time"] = type(event.get("origin_server_ts")).__name__
    unsigned = event.get("unsigned", {})
    kept["transaction_id"] = unsigned.get("transaction_id")
    if because := unsigned.get("redacted_because"):
        kept["redacted_because"] = because["event_id"]
    if kept["type"] in ("m.room.power_levels", "m.room.create"):
        kept["content"] = {}
    return kept


def shape_state(events: list[Any]) -> dict[str, Any]:
    """State has no order of its own."""
    return {f"{event['type']} {event['state_key']}": shape_event(event) for event in events}


def shape_block(block: dict[str, Any]) -> dict[str, Any]:
    """A room under `rooms.join` or `rooms.leave`."""
    timeline = block["timeline"]
    return {
        "timeline": [shape_event(event) for event in timeline["events"]],
        "limited": timeline["limited"],
        "prev_batch": type(timeline["prev_batch"]).__name__,
        "state": shape_state(block["state"]["events"]),
        "receipts": [event["type"] for event in block.get("ephemeral", {"events": []})["events"]],
    }


def shape_sync(body: dict[str, Any]) -> dict[str, Any]:
    rooms = body.get("rooms", {})
    return {
        "next_batch": type(body["next_batch"]).__name__,
        "join": {room: shape_block(block) for room, block in rooms.get("join", {}).items()},
        "leave": {room: shape_block(block) for room, block in rooms.get("leave", {}).items()},
        "invite": {
            room: {
                f"{event['type']} {event['state_key']}": [event["content"], event["sender"]]
                for event in block["invite_state"]["events"]
                if event["type"] != "m.room.create"
            }
            for room, block in rooms.get("invite", {}).items()
        },
    }


def shape_any(body: Any) -> Any:
    """A page, a list of state, or anything else without its secrets."""
    if isinstance(body, list):
        return shape_state(body)
    if not isinstance(body, dict):
        return body
    if "chunk" in body:
        chunk = [shape_event(event) for event in body["chunk"]]
        return {"chunk": chunk, "ends": "end" not in body, "start": "start" in body}
    if "event_id" in body and "type" in body:
        return shape_event(body)
    secret = (
        "access_token",
        "refresh_token",
        "expires_in_ms",
        "device_id",
        "home_server",
        "servers",
        "well_known",
    )
    return {key: value for key, value in body.items() if key not in secret}


async def play(human: Human, bot: Human) -> list[tuple[str, Any]]:
    """Everything that the connector's life depends on, step by step."""
    at = Scenario(human, bot)
    since = await at.bot_syncs("first sync", None)
    since = await joining(at, since)
    since = await talking(at, since)
    since = await catching_up(at, since)
    since = await polling(at, since)
    await reading(at)
    await refusals(at)
    await leaving(at, since)
    await tokens(at)
    return at.seen


async def joining(at: Scenario, since: str) -> str:
    room_id = await at.human.create_room(preset="private_chat", alias=at.alias)
    await at.bot_does("join uninvited", "POST", path("join", room_id), {})
    await at.human.invite(at.bot.user_id)
    elsewhere = {"room": {"rooms": ["!elsewhere:x"]}}
    await at.bot_syncs("invited, looking elsewhere", since, elsewhere)
    since = await at.bot_syncs("invited", since)
    await at.bot_does("join", "POST", path("join", room_id), {})
    at.bot.room_id = room_id
    since = await at.bot_syncs("joined", since, SMALL)
    await at.bot_syncs("nothing new", since, SMALL)
    await at.bot_syncs("anew, small", None, SMALL)
    await at.bot_syncs("anew, wide", None, {"room": {"timeline": {"limit": 50}}})
    await at.bot_syncs("anew, elsewhere", None, elsewhere)
    await at.bot_does("joined rooms", "GET", path("joined_rooms"))
    return since


async def talking(at: Scenario, since: str) -> str:
    room = at.bot.room_id
    root = await at.human.say("root")
    await at.human.say("threaded", thread=root)
    await at.human.edit(root, "rooted")
    await at.human.react(root)
    since = await at.bot_syncs("four events", since, {"room": {"timeline": {"limit": 50}}})
    first = path("rooms", room, "send", "m.room.message", "txn1")
    content = {"msgtype": "m.text", "body": "from the bot"}
    await at.bot_does("send", "PUT", first, content)
    await at.bot_does("send again, other body", "PUT", first, content | {"body": "other"})
    gone = await at.human.say("gone")
    await at.human.redact(gone, "why")
    since = await at.bot_syncs("own echo and a redaction", since)
    await at.human.set_state("m.room.topic", {"topic": "fleet"})
    await at.human.set_display_name("Ann")
    # Synapse changes the rooms in the background.
    await at.human.wait_for(lambda event: event["content"].get("displayname") == "Ann")
    since = await at.bot_syncs("state changes", since)
    only = {"room": {"timeline": {"types": ["m.room.message"]}}}
    await at.human.say("plain")
    await at.human.react(root, "x")
    return await at.bot_syncs("only messages", since, only)


async def catching_up(at: Scenario, since: str) -> str:
    for number in range(7):
        await at.human.say(f"m{number}")
    query = {"timeout": "0", "since": since, "filter": json.dumps(SMALL)}
    answer = await at.bot.ask("GET", SYNC, query=query)
    body = at.note("limited", answer, shape_sync)
    prev = body["rooms"]["join"][at.bot.room_id]["timeline"]["prev_batch"]
    where = path("rooms", at.bot.room_id, "messages")
    for limit in ("3", "4", "50"):
        token = prev
        for number in range(4):
            what = f"page {number} of {limit}"
            query = {"dir": "b", "from": token, "to": since, "limit": limit}
            page = await at.bot_does(what, "GET", where, None, **query)
            if "end" not in page:
                break
            token = page["end"]
    only = json.dumps({"types": ["m.room.topic"]})
    await at.bot_does("filtered page", "GET", where, None, dir="b", filter=only, limit="50")
    await at.bot_does("first page", "GET", where, None, dir="f", limit="4")
    await at.bot_does("forward from", "GET", where, None, **{"dir": "f", "from": since})
    await at.bot_does("last page", "GET", where, None, dir="b", limit="2")
    return str(body["next_batch"])


async def polling(at: Scenario, since: str) -> str:
    async def speak() -> None:
        await asyncio.sleep(0.3)
        await at.human.say("wake up")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak())
        since = await at.bot_syncs("woken", since, timeout="20000")
    await at.bot_syncs("timed out", since, timeout="100")
    last = await at.human.say("to be read")
    since = await at.bot_syncs("before the receipt", since)
    receipt = path("rooms", at.bot.room_id, "receipt", "m.read", last)
    await at.bot_does("receipt", "POST", receipt, {})
    since = await at.bot_syncs("after the receipt", since)
    await at.bot_does("receipt", "POST", receipt, {})
    deaf = {"room": {"ephemeral": {"not_types": ["*"]}}}
    markers = path("rooms", at.bot.room_id, "read_markers")
    await at.bot_does("read markers", "POST", markers, {"m.read": last})
    return await at.bot_syncs("deaf to receipts", since, deaf)


async def reading(at: Scenario) -> None:
    room = at.bot.room_id
    await at.bot_does("state", "GET", path("rooms", room, "state"))
    await at.bot_does("topic", "GET", path("rooms", room, "state", "m.room.topic"))
    member = path("rooms", room, "state", "m.room.member", at.bot.user_id)
    await at.bot_does("own membership", "GET", member)
    await at.bot_does("no such state", "GET", path("rooms", room, "state", "m.none"))
    await at.bot_does("no such event", "GET", path("rooms", room, "event", "$" + "x" * 43))
    event_id = (await at.human.history())[-1]["event_id"]
    await at.bot_does("event", "GET", path("rooms", room, "event", event_id))
    alias = f"#{at.alias}:fleet.test"
    await at.bot_does("alias", "GET", path("directory", "room", alias))
    await at.bot_does("no such alias", "GET", path("directory", "room", "#none:fleet.test"))
    made = await at.bot.ask("POST", path("user", at.bot.user_id, "filter"), SMALL)
    await at.bot_syncs("by filter id", None, made.body["filter_id"])


async def refusals(at: Scenario) -> None:
    room = at.bot.room_id
    good = {"msgtype": "m.text", "body": "x"}
    for what, content in {
        "float": good | {"n": 1.5},
        "no object": ["list"],
        "too large": good | {"body": "x" * 65_000},
        "just not too large": good | {"body": "x" * 64_000},
    }.items():
        where = path("rooms", room, "send", "m.room.message", what)
        await at.bot_does(what, "PUT", where, content)
    nowhere = path("rooms", "!nowhere:fleet.test", "send", "m.room.message", "1")
    await at.bot_does("unknown room", "PUT", nowhere, good)
    await at.bot_does("unknown path", "GET", path("nothing"))
    await at.bot_does("garbage since", "GET", SYNC, None, since="garbage")
    where = path("rooms", room, "messages")
    await at.bot_does("garbage from", "GET", where, None, **{"dir": "b", "from": "garbage"})


async def leaving(at: Scenario, since: str) -> None:
    room = at.bot.room_id
    await at.human.say("last words")
    await at.human.kick(at.bot.user_id, "enough")
    await at.human.say("unheard")
    await at.bot_syncs("kicked", since)
    await at.bot_syncs("kicked, anew", None)
    send = path("rooms", room, "send", "m.room.message", "k")
    await at.bot_does("send when kicked", "PUT", send, {"msgtype": "m.text", "body": "x"})
    where = path("rooms", room, "messages")
    await at.bot_does("history when kicked", "GET", where, None, dir="b", limit="2")
    await at.bot_does("join when kicked", "POST", path("join", room), {})
    await at.human.invite(at.bot.user_id)
    since = await at.bot_syncs("invited again", since)
    await at.bot_does("join again", "POST", path("rooms", room, "join"), {})
    since = await at.bot_syncs("joined again", since, SMALL)
    await at.human.ban(at.bot.user_id, "and stay out")
    await at.bot_syncs("banned", since)
    await at.bot_does("join when banned", "POST", path("join", room), {})


async def tokens(at: Scenario) -> None:
    base, account = at.bot.base_url, at.bot.account
    identifier = {"type": "m.id.user", "user": account.user_id}
    body = {"type": "m.login.password", "identifier": identifier, "password": account.password}
    good = body | {"device_id": "SECOND", "refresh_token": True}
    login = at.note("login", await matrix_http.ask(base, "POST", path("login"), good), shape_any)
    wrong = body | {"password": "no"}
    at.note("wrong password", await matrix_http.ask(base, "POST", path("login"), wrong))
    whoami = path("account", "whoami")
    at.note("no token", await matrix_http.ask(base, "GET", whoami))
    at.note("bad token", await matrix_http.ask(base, "GET", whoami, token="bad"))
    spent = {"refresh_token": login["refresh_token"]}
    fresh = await matrix_http.ask(base, "POST", path("refresh"), spent)
    at.note("refresh", fresh, shape_any)
    garbage = {"refresh_token": "no"}
    at.note("bad refresh", await matrix_http.ask(base, "POST", path("refresh"), garbage))
    token = fresh.body["access_token"]
    at.note("whoami", await matrix_http.ask(base, "GET", whoami, token=token), shape_any)
    at.note("logout", await matrix_http.ask(base, "POST", path("logout"), {}, token=token))
    at.note("logged out", await matrix_http.ask(base, "GET", whoami, token=token))


async def test_the_fake_answers_as_synapse_does(synapse: Synapse) -> None:
    bot = await synapse.register()
    real = await play(await synapse.human(), Human(synapse.base_url, bot))
    async with FakeHomeserver() as server:
        fake_bot: Account = server.add_user()
        fake = await play(server.human(), Human(server.base_url, fake_bot))
    assert [what for what, _ in fake] == [what for what, _ in real]
    for (what, from_fake), (_, from_real) in zip(fake, real, strict=True):
        assert from_fake == from_real, what
