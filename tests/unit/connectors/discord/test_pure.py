"""Nonces, watermarks, permissions, names of threads: functions of values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.connectors.discord import place as places
from fleetchatd.connectors.discord.budget import is_gateway
from fleetchatd.connectors.discord.line import Dispatch, concerns
from fleetchatd.connectors.discord.nonce import nonce_of
from fleetchatd.connectors.discord.place import HISTORY, NEEDED, VIEW, place_of, thread_name
from fleetchatd.connectors.discord.position import MARKS, SKEW_S, SLACK_S, Mark, Position, id_at
from fleetchatd.connectors.discord.standing import Standing

EVERYONE, ROLE, ME = "1", "2", "3"
ENOUGH = sum(NEEDED)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def place(
    *overwrites: tuple[str, int, int],
    everyone: int = 0,
    role: int = 0,
    owner: str = "9",
    kind: int = 0,
) -> places.Place:
    """The channel for a member with one role; an overwrite is (id, allow, deny)."""
    entries = [
        {"id": id_, "allow": str(allow), "deny": str(deny)} for id_, allow, deny in overwrites
    ]
    channel = {"id": "5", "guild_id": EVERYONE, "type": kind, "permission_overwrites": entries}
    roles = [
        {"id": EVERYONE, "permissions": str(everyone)},
        {"id": ROLE, "permissions": str(role)},
    ]
    guild = {"id": EVERYONE, "owner_id": owner, "roles": roles}
    found = place_of(channel, guild, {"roles": [ROLE]}, ME)
    assert found is not None
    return found


@given(st.text())
def test_a_nonce_is_the_same_each_time_and_fits(transaction_id: str) -> None:
    assert nonce_of(transaction_id) == nonce_of(transaction_id)
    assert 0 < len(nonce_of(transaction_id)) <= 25


def test_nonces_of_parts_differ() -> None:
    assert len({nonce_of(f"m.{number}") for number in range(1000)}) == 1000


# -- permissions ("Permission Overwrites")


@pytest.mark.parametrize(
    ("found", "open_", "visible"),
    [
        (place(everyone=VIEW), True, True),
        (place(), False, False),
        (place(role=VIEW), False, True),
        (place((EVERYONE, 0, VIEW), everyone=VIEW), False, False),
        (place((EVERYONE, VIEW, 0)), True, True),
        (place((EVERYONE, 0, VIEW), (ROLE, VIEW, 0), everyone=VIEW), False, True),
        (place((ROLE, VIEW, 0), (ME, 0, VIEW)), False, False),
        (place((ROLE, 0, VIEW), (ME, VIEW, 0)), False, True),
        (place((EVERYONE, 0, VIEW), role=places.ADMINISTRATOR), False, True),
        (place((EVERYONE, 0, VIEW), everyone=places.ADMINISTRATOR), True, True),
        (place(owner=ME), False, True),
    ],
)
def test_who_may_see_the_channel(found: places.Place, open_: bool, visible: bool) -> None:
    assert (found.open, bool(found.mine & VIEW)) == (open_, visible)


@pytest.mark.parametrize(
    ("found", "allowed", "status", "says"),
    [
        (place(role=ENOUGH), None, None, ""),
        (place(role=ENOUGH, everyone=VIEW), None, "down", "connector.discord.allowed_senders"),
        (place(role=ENOUGH, everyone=VIEW), {"7"}, None, ""),
        (place(role=ENOUGH & ~HISTORY), None, "degraded", "Read Message History"),
        (place(role=ENOUGH & ~(1 << 11)), None, "degraded", "Send Messages in the channel"),
        (place(), None, "down", "invite the bot"),
        (place(role=ENOUGH, kind=2), None, "down", "no text channel"),
    ],
)
def test_a_verdict_says_what_to_do(
    found: places.Place, allowed: set[str] | None, status: str | None, says: str
) -> None:
    verdict = found.verdict(allowed)
    assert (verdict.status if verdict else None) == status
    assert says in (verdict.detail if verdict else "")


@given(JSON, JSON, JSON)
def test_whatever_comes_in_place_of_a_channel_is_no_channel(
    channel: object, guild: object, member: object
) -> None:
    assert place_of(channel, guild, member, ME) is None
    found = place_of(
        {"id": "5", "guild_id": "1", "permission_overwrites": channel}, guild, member, ME
    )
    assert found is not None


def test_a_server_that_tells_no_roles_counts_as_open_unless_it_says_otherwise() -> None:
    channel: dict[str, object] = {"id": "5", "guild_id": EVERYONE, "type": 0}
    told = place_of(channel, None, None, ME)
    assert told is not None
    assert (told.open, told.readable) == (True, True)
    channel["permission_overwrites"] = [{"id": EVERYONE, "allow": "0", "deny": str(VIEW)}]
    closed = place_of(channel, None, None, ME)
    assert closed is not None
    assert (closed.open, closed.verdict(None)) == (False, None)


# -- watermarks


def test_a_watermark_never_goes_back_and_survives_the_journal() -> None:
    position = Position(100)
    position.move("5", 200)
    position.move("5", 150)
    position.move("6", 50)
    again = Position.decode(position.encode())
    assert (again.mark("5"), again.mark("6"), again.mark("7"), again.newest) == (200, 100, 100, 200)


def test_many_watermarks_become_one_and_lose_nothing() -> None:
    position = Position(0)
    for number in range(MARKS + 5):
        position.move(str(number), number + 1)
    position.settle(40)
    assert (position.mark("new"), position.mark("60")) == (40, 61)
    assert len(position.marks) <= MARKS


def test_a_mark_survives_the_journal_and_begins_before_its_attempt() -> None:
    mark = Mark("3", 1_800_000_000.0, 0)
    assert Mark.decode(mark.encode()) == mark
    assert mark.begin() == id_at(1_800_000_000.0 - SLACK_S)
    known = id_at(1_800_000_000.0)
    assert Mark("3", 0.0, known).begin() == id_at(1_800_000_000.0 - SKEW_S)
    assert Mark("3", 0.0, 77).begin() == 0


# -- names and addresses


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("Shall I?\nIt is late.", "Shall I?"),
        ("\n \nfirst words", "first words"),
        ("x" * 300, "x" * 100),
        ("🚀" * 80, "🚀" * 50),
        ("a\x00b\u202ec", "a b c"),
        ("", "Thread"),
        (None, "Thread"),
        (["x"], "Thread"),
    ],
)
def test_a_thread_is_named_after_the_first_line(content: object, name: str) -> None:
    assert thread_name({"content": content}) == name


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("wss://gateway.discord.gg", True),
        ("ws://127.0.0.1:4000/gateway", True),
        ("ws://localhost:4000", True),
        ("ws://[::1]:4000", True),
        ("ws://gateway.discord.gg", False),
        ("ws://localhost.example.org", False),
        ("https://gateway.discord.gg", False),
        ("wss://", False),
        ("ws://[", False),
        (None, False),
        (7, False),
    ],
)
def test_the_token_goes_to_an_encrypted_gateway_or_stays_on_this_machine(
    url: object, good: bool
) -> None:
    assert is_gateway(url) is good


# -- health


def test_health_is_the_truth_about_all_parts() -> None:
    standing = Standing(None)
    assert (standing.health().status, standing.health().detail) == ("degraded", "connecting")
    standing.signed_in = standing.reachable = standing.connected = True
    assert standing.health().detail == "catching up"
    standing.place, standing.caught_up = place(role=ENOUGH), True
    assert (standing.health().status, standing.health().receiving) == ("ok", True)
    standing.connected, standing.lost = False, "gone"
    assert (standing.health().detail, standing.health().receiving) == ("gone", False)
    standing.unusable = "closed to us"
    assert (standing.health().status, standing.health().detail) == ("down", "closed to us")
    standing.fatal = "refused"
    assert (standing.blocked, standing.health().receiving) == ("refused", False)


@pytest.mark.parametrize(
    ("data", "concerned"),
    [
        ({"channel_id": "5", "guild_id": "1"}, True),
        ({"channel_id": "5"}, True),
        ({"channel_id": "6", "guild_id": "1"}, True),
        ({"channel_id": "4", "guild_id": "1"}, False),
        ({"channel_id": "6", "guild_id": "2"}, False),
        ({"channel_id": "6"}, False),
        ({}, False),
    ],
)
def test_only_what_may_be_said_in_our_channel_stands_in_line(
    data: dict[str, str], concerned: bool
) -> None:
    dispatch = Dispatch("MESSAGE_CREATE", data, "s", 1)
    found = concerns(
        dispatch, channel_id="5", guild_id="1", me="3", elsewhere=lambda place: place == "4"
    )
    assert found is concerned
