"""The gate, and what comes through it: events sound and complete, whatever Discord says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.connectors.discord.events import (
    NO_WORDS,
    message_event,
    reaction_event,
    redaction_events,
    time_of,
)
from fleetchatd.connectors.discord.gate import Gate, Own
from fleetchatd.connectors.discord.place import Place
from fleetchatd.model import EditEvent, MessageEvent
from tests.unit.connectors.discord.test_pure import JSON

ANN = {"id": "7", "username": "ann", "global_name": "Ann"}
BOT = {"id": "8", "username": "other", "bot": True}
ME = {"id": "3", "username": "mos", "bot": True}


def gate(allowed: set[str] | None = None, *, open_: bool = False) -> Gate:
    place = Place("5", "1", 0, open_, ~0, None)
    return Gate("3", allowed, Counter(), place, threads={"6"})


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "50",
        "channel_id": "5",
        "author": ANN,
        "content": "hello",
        "timestamp": "2026-11-23T10:00:00.123000+00:00",
        "type": 0,
    } | more


def said(raw: dict[str, Any]) -> MessageEvent:
    event = message_event(raw, None, None)
    assert event is not None
    return event


# -- who may speak


@pytest.mark.parametrize(
    ("found", "author", "more", "heard"),
    [
        (gate(), ANN, {}, True),
        (gate(), BOT, {}, False),
        (gate({"8"}), BOT, {}, True),
        (gate({"8"}), ANN, {}, False),
        (gate(open_=True), ANN, {}, False),
        (gate({"7"}, open_=True), ANN, {}, True),
        (gate({"7"}), ANN, {"webhook_id": "7"}, False),
        (gate(), ANN, {"webhook_id": "7"}, False),
    ],
)
def test_only_those_who_may_speak_are_heard(
    found: Gate, author: dict[str, Any], more: dict[str, Any], heard: bool
) -> None:
    event = found.message(message(author=author, **more), "5")
    edit = found.edit(message(author=author, edited_timestamp="2026-11-23", **more), "5")
    assert (event is not None, edit is not None) == (heard, heard)
    assert found.counts["refused_senders"] == (0 if heard else 2)


def test_who_is_refused_is_counted_once_for_a_message() -> None:
    found = gate({"9"})
    for _ in range(3):
        assert found.message(message(), "5") is None
    assert found.counts["refused_senders"] == 1


@pytest.mark.parametrize("kind", [1, 6, 7, 18, 20, 21, 24, None, "0"])
def test_what_people_did_not_write_is_no_message(kind: object) -> None:
    found = gate()
    assert found.message(message(type=kind), "5") is None
    assert found.counts["refused_senders"] == 0


def test_a_message_without_a_type_is_a_plain_one() -> None:
    untyped = message()
    del untyped["type"]
    assert gate().message(untyped, "5") == gate().message(message(), "5")


def test_what_is_said_elsewhere_is_not_heard() -> None:
    assert gate().message(message(), "4") is None
    assert gate().edit(message(edited_timestamp="2026-11-23"), "4") is None
    assert not gate().may_react({"channel_id": "4", "user_id": "7"}, "x")


def test_own_messages_confirm_and_are_no_events() -> None:
    assert gate().message(message(author=ME, nonce="n"), "5") == Own("50", "n")
    assert gate().message(message(author=ME), "6") == Own("50", None)
    assert gate().edit(message(author=ME, edited_timestamp="2026-11-23"), "5") is None
    assert not gate().may_react({"channel_id": "5", "user_id": "3"}, "x")


def test_a_thread_is_told_by_its_id() -> None:
    event = gate().message(message(), "6")
    assert isinstance(event, MessageEvent)
    assert event.thread_id == "6"
    edit = gate().edit(message(edited_timestamp="2026-11-23"), "6")
    assert isinstance(edit, EditEvent)
    assert edit.thread_id == "6"


def test_the_server_nickname_comes_before_the_display_name_before_the_user_name() -> None:
    found = gate()
    names = []
    for member, author in (
        ({"nick": "Boss"}, ANN),
        (None, ANN),
        ({"nick": None}, ANN),
        (None, ANN | {"global_name": None}),
        (None, {"id": "7"}),
    ):
        event = found.message(message(author=author, member=member), "5")
        assert isinstance(event, MessageEvent)
        names.append(event.sender_name)
    assert names == ["Boss", "Boss", "Ann", "ann", "7"]


# -- what they say


def test_a_message_is_told_whole() -> None:
    attachment = {
        "filename": "a\nb.png",
        "content_type": "image/png",
        "size": 5,
        "url": "https://x",
    }
    reference = {"message_id": "40", "channel_id": "5"}
    event = said(message(type=19, message_reference=reference, attachments=[attachment]))
    assert event.to_json() == {
        "type": "message",
        "time": "2026-11-23T10:00:00.123Z",
        "connector": "discord",
        "id": "50",
        "sender": "7",
        "sender_name": "Ann",
        "text": "hello",
        "thread_id": None,
        "reply_to": "40",
        "class": "human",
        "attachments": [
            {"name": "a b.png", "mime": "image/png", "size_bytes": 5, "url": "https://x"}
        ],
    }


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"attachments": [{"filename": "a.png"}, {"filename": "b.png"}]}, "a.png\nb.png"),
        ({"sticker_items": [{"name": "Wave"}]}, "Wave"),
        ({"poll": {"question": {"text": "Now?"}}}, "Now?"),
        ({"message_snapshots": [{"message": {"content": "forwarded"}}]}, "forwarded"),
        ({"message_snapshots": [{"message": {"sticker_items": [{"name": "Wave"}]}}]}, "Wave"),
        (
            {"embeds": [{"title": "CI", "fields": [{"name": "build", "value": "red"}]}]},
            "CI\nbuild: red",
        ),
        ({"content": " ", "attachments": [{"filename": "a.png"}]}, "a.png"),
        ({}, NO_WORDS),
        ({"message_snapshots": [{"message": {}}]}, NO_WORDS),
    ],
)
def test_a_message_without_words_is_not_empty(more: dict[str, Any], text: str) -> None:
    assert said(message(**{"content": ""} | more)).text == text


def test_words_that_are_taken_out_of_a_message_with_a_file_are_an_edit() -> None:
    raw = message(content="", edited_timestamp="2026-11-23", attachments=[{"filename": "a.png"}])
    edit = gate().edit(raw, "5")
    assert edit is not None
    assert edit.text == "a.png"
    del raw["content"]
    assert gate().edit(raw, "5") is None, "a change of something else"


def test_a_forwarded_message_is_no_reply() -> None:
    assert said(message(message_reference={"type": 1, "message_id": "4"})).reply_to is None


def test_an_unfurled_link_is_no_edit() -> None:
    assert gate().edit(message(edited_timestamp=None), "5") is None


def test_an_edit_has_one_id_however_often_it_is_told() -> None:
    raw = message(edited_timestamp="2026-11-23T10:00:01+00:00")
    first, later = (gate().edit(raw, "5"), gate().edit(raw | {"embeds": [{}]}, "5"))
    other = gate().edit(raw | {"edited_timestamp": "2026-11-23T10:00:02+00:00"}, "5")
    assert first is not None
    assert later is not None
    assert other is not None
    assert (first.id, first.target, first.text) == (later.id, "50", "hello")
    assert other.id != first.id


def test_many_deletions_are_told_one_by_one() -> None:
    events = list(redaction_events({"ids": ["1", "2", None, 3]}, 0))
    assert [(event.target, event.sender, event.welcome) for event in events] == [
        ("1", None, False),
        ("2", None, False),
    ]


@pytest.mark.parametrize(
    ("emoji", "key"),
    [
        ({"id": None, "name": "👍"}, "👍"),
        ({"id": "12", "name": "party"}, "<:party:12>"),
        ({"id": "12", "name": None}, "<:_:12>"),
        ({"id": "12", "name": "party", "animated": True}, "<a:party:12>"),
    ],
)
def test_a_reaction_says_its_emoji_as_texts_do(emoji: dict[str, Any], key: str) -> None:
    event = reaction_event({"user_id": "7", "message_id": "50", "emoji": emoji}, "s/1", 0)
    assert event is not None
    assert (event.id, event.sender, event.target, event.key) == ("s/1", "7", "50", key)


@given(JSON, JSON, st.dictionaries(st.sampled_from(sorted(message())), JSON))
def test_whatever_comes_is_a_sound_event_or_none(
    one: object, other: object, changed: dict[str, object]
) -> None:
    raw = message(attachments=[one], member=other, message_reference=one, poll=other) | changed
    found = gate()
    event = found.message(raw, "5")
    if isinstance(event, MessageEvent):
        assert event.text
        event.to_json()["text"].encode()
    found.edit(raw | {"edited_timestamp": one}, "5")
    found.may_react(raw | {"user_id": one}, "x")
    reaction_event({"user_id": "7", "message_id": "50", "emoji": one}, "x", 0)
    list(redaction_events({"id": one, "ids": other}, 0))


@pytest.mark.parametrize("value", ["", "x", "1" * 21, "9" * 20, "-1", "\uff11", 5, None, ["1"]])
def test_what_is_no_id_is_no_message(value: object) -> None:
    assert gate().message(message(id=value), "5") is None
    assert message_event(message(author={"id": value}), None, None) is None


@pytest.mark.parametrize("value", [None, 5, "", "yesterday", "2026-99-99"])
def test_a_time_that_is_none_is_the_beginning_of_1970(value: object) -> None:
    assert time_of(value) == "1970-01-01T00:00:00.000Z"
