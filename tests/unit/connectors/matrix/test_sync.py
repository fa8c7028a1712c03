from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from hypothesis import given, settings

from fleetchatd.connectors.matrix.sync import Answer, parse_answer, sync_path
from tests.unit.connectors.matrix.test_events import JSON

ROOM = "!room:example.internal"


def filter_of(where: str) -> Any:
    return orjson.loads(parse_qs(urlsplit(where).query)["filter"][0])


@settings(deadline=None)
@given(JSON, JSON, JSON)
def test_any_answer_is_parsed_or_refused(section: Any, timeline: Any, rooms: Any) -> None:
    for answer in (
        {"next_batch": "s1", "rooms": rooms},
        {"next_batch": "s1", "rooms": {"join": section}},
        {"next_batch": "s1", "rooms": {"leave": {ROOM: section}}},
        {"next_batch": "s1", "rooms": {"join": {ROOM: {"timeline": timeline, "state": section}}}},
    ):
        parsed = parse_answer(answer, ROOM)
        assert parsed is not None
        assert isinstance(parsed.timeline, list | tuple)
        assert isinstance(parsed.limited, bool)
    assert parse_answer({"next_batch": section} if not isinstance(section, str) else {}, "") is None


def test_a_token_that_cannot_be_given_back_is_none() -> None:
    assert parse_answer({"next_batch": "\ud800"}, ROOM) is None
    timeline = {"limited": True, "prev_batch": "\ud800", "events": []}
    answer = {"next_batch": "s1", "rooms": {"join": {ROOM: {"timeline": timeline}}}}
    assert parse_answer(answer, ROOM) == Answer("s1", "join", (), [], limited=True)


def test_only_our_room_is_asked_for_and_nothing_of_people_beside_it() -> None:
    where = sync_path(ROOM, since="s 1&x", limit=7, timeout_ms=30_000)
    query = parse_qs(urlsplit(where).query)
    assert (query["since"], query["timeout"]) == (["s 1&x"], ["30000"])
    wanted = filter_of(where)
    assert wanted["room"]["rooms"] == [ROOM]
    assert wanted["room"]["timeline"]["limit"] == 7
    assert wanted["presence"]["not_types"] == ["*"]


def test_no_two_looks_around_are_the_same_request() -> None:
    one, two = (
        sync_path(ROOM, since=None, limit=1, timeout_ms=0, nonce=nonce) for nonce in ("a", "b")
    )
    assert one != two
    assert filter_of(one)["account_data"]["not_types"] == ["*"]
