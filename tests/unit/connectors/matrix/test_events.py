from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.connectors.matrix.events import is_encrypted, own_transaction, parse_event
from fleetchatd.model import EditEvent, MessageEvent, ReactionEvent, RedactionEvent

ANN = "@ann:example.internal"
NAMES = {ANN: "Ann"}
ENCRYPTED_FILE = {"url": "mxc://example.internal/enc", "v": "v2", "iv": "x", "hashes": {}}

EVENT_TYPES = ["m.room.message", "m.reaction", "m.room.redaction", "m.sticker", "m.poll.start"]
KEYS = ["body", "msgtype", "m.relates_to", "m.new_content", "filename", "info", "url", "file"]
MORE_KEYS = ["rel_type", "event_id", "key", "m.in_reply_to", "is_falling_back", "redacts", "m.text"]
VALUES = [
    "m.text",
    "m.image",
    "m.emote",
    "m.replace",
    "m.thread",
    "m.annotation",
    "$e",
    "> <@a:b> c",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from([*VALUES, "", "\ud800", "\x00"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, *MORE_KEYS]) | st.text(max_size=3), inner)
    ),
    max_leaves=20,
)
HOSTILE_EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(EVENT_TYPES) | JSON,
        "event_id": st.just("$e") | JSON,
        "sender": st.just(ANN) | JSON,
        "origin_server_ts": st.integers() | JSON,
        "content": JSON,
        "unsigned": JSON,
        "redacts": JSON,
    },
)


def event(content: object, type_: str = "m.room.message", **more: object) -> dict[str, object]:
    """An event as Synapse 1.163 sends it in a timeline."""
    return {
        "type": type_,
        "event_id": "$9xPhQ3",
        "sender": ANN,
        "origin_server_ts": 1_763_816_400_123,
        "content": content,
        "unsigned": {"membership": "join", "age": 42},
    } | more


def text(body: str, **more: object) -> dict[str, object]:
    return {"msgtype": "m.text", "body": body, "m.mentions": {}} | more


def message(content: object, type_: str = "m.room.message", **more: object) -> MessageEvent:
    parsed = parse_event(event(content, type_, **more), NAMES)
    assert isinstance(parsed, MessageEvent)
    return parsed


REPLY = {"m.in_reply_to": {"event_id": "$question"}}


def test_a_message_says_who_what_and_when() -> None:
    assert message(text("ship it")).to_json() == {
        "type": "message",
        "time": "2025-11-22T13:00:00.123Z",
        "connector": "matrix",
        "id": "$9xPhQ3",
        "sender": ANN,
        "sender_name": "Ann",
        "text": "ship it",
        "thread_id": None,
        "reply_to": None,
        "class": "human",
        "attachments": [],
    }


def test_a_sender_without_a_name_is_called_by_its_id() -> None:
    parsed = parse_event(event(text("hi")), {})
    assert isinstance(parsed, MessageEvent)
    assert parsed.sender_name == ANN


@pytest.mark.parametrize(
    "msgtype", ["m.text", "m.notice", "org.example.dance", None, 7, ["m.image"]]
)
def test_whatever_has_a_body_is_text(msgtype: object) -> None:
    assert message({"msgtype": msgtype, "body": "hi"}).text == "hi"


def test_an_emote_names_who_does_it() -> None:
    assert message({"msgtype": "m.emote", "body": "waves"}).text == "* Ann waves"


def test_a_location_without_words_is_its_address() -> None:
    assert message({"msgtype": "m.location", "geo_uri": "geo:1,2"}).text == "geo:1,2"


@pytest.mark.parametrize(
    ("type_", "content"),
    [
        ("m.poll.start", {"m.text": [{"body": "Ship?\n1. yes\n2. no"}], "m.poll": {}}),
        ("org.matrix.msc3381.poll.start", {"org.matrix.msc1767.text": "Ship?\n1. yes\n2. no"}),
    ],
)
def test_a_poll_is_its_fallback_text(type_: str, content: object) -> None:
    assert message(content, type_).text == "Ship?\n1. yes\n2. no"


def test_a_thread_message_is_in_its_thread_and_its_fallback_is_no_reply() -> None:
    relation = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": True} | REPLY
    parsed = message(text("on it", **{"m.relates_to": relation}))
    assert (parsed.thread_id, parsed.reply_to) == ("$root", None)


@pytest.mark.parametrize("falling_back", [False, None, "true"])
def test_a_reply_inside_a_thread_is_one(falling_back: object) -> None:
    relation = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": falling_back}
    relation |= REPLY
    parsed = message(text("yes", **{"m.relates_to": relation}))
    assert (parsed.thread_id, parsed.reply_to) == ("$root", "$question")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("> <@mos:example.internal> Ship it?\n\nYes", "Yes"),
        ("> <@mos:example.internal> Ship it?\n> Or wait?\n>\n> Hm\n\nYes\n\nNow", "Yes\n\nNow"),
        ("> * <@mos:example.internal> waves\n\nYes", "Yes"),
        ("> <@mos:example.internal> a\n\n> b\n\nmy own quotation", "> b\n\nmy own quotation"),
        ("> not a fallback\n\nYes", "> not a fallback\n\nYes"),
        ("> <@mos:example.internal> only this", "> <@mos:example.internal> only this"),
        ("Yes", "Yes"),
    ],
)
def test_the_quoted_fallback_of_a_reply_is_stripped(body: str, said: str) -> None:
    parsed = message(text(body, **{"m.relates_to": REPLY}))
    assert (parsed.text, parsed.reply_to) == (said, "$question")


def test_a_quotation_in_what_is_no_reply_stays() -> None:
    assert message(text("> <@mos:example.internal> x\n\ny")).text.startswith("> <@mos")


@pytest.mark.parametrize("msgtype", ["m.image", "m.file", "m.audio", "m.video"])
def test_a_file_is_an_attachment_and_its_name_the_text(msgtype: str) -> None:
    content = {
        "msgtype": msgtype,
        "body": "plot.png",
        "url": "mxc://example.internal/abc",
        "info": {"mimetype": "image/png", "size": 123, "w": 1},
    }
    parsed = message(content)
    assert parsed.text == "plot.png"
    assert [item.to_json() for item in parsed.attachments] == [
        {
            "name": "plot.png",
            "mime": "image/png",
            "size_bytes": 123,
            "url": "mxc://example.internal/abc",
        }
    ]


def test_a_files_caption_is_the_text() -> None:
    content = {"msgtype": "m.image", "body": "look", "filename": "plot.png", "url": "mxc://e/a"}
    parsed = message(content)
    assert (parsed.text, parsed.attachments[0].name) == ("look", "plot.png")


def test_an_encrypted_file_has_its_address_too() -> None:
    parsed = message({"msgtype": "m.file", "body": "a.txt", "file": ENCRYPTED_FILE})
    assert parsed.attachments[0].url == "mxc://example.internal/enc"


def test_a_sticker_is_an_attachment() -> None:
    parsed = message({"body": "cat", "url": "mxc://e/cat", "info": {}}, "m.sticker")
    assert (parsed.text, parsed.attachments[0].url) == ("cat", "mxc://e/cat")


@pytest.mark.parametrize("size", [-1, 1.5, True, "12", 2**70, None])
@pytest.mark.parametrize("mime", [7, "", None, {}])
def test_a_file_with_nonsense_about_it_is_still_a_file(size: object, mime: object) -> None:
    content = {"msgtype": "m.file", "body": 3, "info": {"size": size, "mimetype": mime}}
    assert message(content).to_json()["attachments"] == [
        {"name": "file", "mime": None, "size_bytes": None, "url": ""}
    ]


def test_a_files_name_is_one_line() -> None:
    assert message({"msgtype": "m.file", "body": "a\nb.txt"}).text == "a b.txt"


def edit(content: dict[str, object]) -> EditEvent:
    parsed = parse_event(event(content), NAMES)
    assert isinstance(parsed, EditEvent)
    return parsed


def test_an_edit_says_the_new_text() -> None:
    relation = {"rel_type": "m.replace", "event_id": "$typo"}
    parsed = edit(text("* fixed", **{"m.new_content": text("fixed"), "m.relates_to": relation}))
    assert (parsed.target, parsed.text, parsed.thread_id) == ("$typo", "fixed", None)


@pytest.mark.parametrize("new_content", [None, "fixed", {}, []])
def test_an_edit_without_its_new_content_says_the_fallback(new_content: object) -> None:
    relation = {"rel_type": "m.replace", "event_id": "$typo"}
    broken = text("* fixed", **{"m.new_content": new_content, "m.relates_to": relation})
    assert edit(broken).text == "fixed"


def test_an_edit_in_a_thread_names_it_where_it_is_told() -> None:
    new = text("fixed", **{"m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}})
    relation = {"rel_type": "m.replace", "event_id": "$typo"}
    assert edit({"m.new_content": new, "m.relates_to": relation}).thread_id == "$root"


@pytest.mark.parametrize("target", [None, 7, "", {"event_id": "$x"}])
def test_an_edit_of_nothing_is_a_message(target: object) -> None:
    relation = {"rel_type": "m.replace", "event_id": target}
    assert message(text("* fixed", **{"m.relates_to": relation})).text == "* fixed"


@pytest.mark.parametrize(
    "raw",
    [
        event({}, "m.room.redaction", redacts="$gone"),
        event({"redacts": "$gone", "reason": "oops"}, "m.room.redaction"),
        event({"redacts": "$gone"}, "m.room.redaction", redacts="$gone"),
    ],
    ids=["before v11", "v11", "v11 with the old key"],
)
def test_a_redaction_names_its_target_in_every_room_version(raw: object) -> None:
    parsed = parse_event(raw)
    assert isinstance(parsed, RedactionEvent)
    assert (parsed.sender, parsed.target) == (ANN, "$gone")


def test_a_reaction_has_a_key_and_a_target() -> None:
    relation = {"rel_type": "m.annotation", "event_id": "$done", "key": "\U0001f44d"}
    parsed = parse_event(event({"m.relates_to": relation}, "m.reaction"))
    assert isinstance(parsed, ReactionEvent)
    assert (parsed.target, parsed.key) == ("$done", "\U0001f44d")


@pytest.mark.parametrize(
    "raw",
    [
        event({}, unsigned={"redacted_because": event({}, "m.room.redaction")}),
        event(text("left over"), unsigned={"redacted_because": {}}),
        event({}, "m.reaction", unsigned={"redacted_because": {}}),
        event({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$x"}}, "m.reaction"),
        event({}, "m.room.redaction"),
        event({"msgtype": "m.text", "body": ""}),
        event({"msgtype": "m.emote", "body": ""}),
        event({"msgtype": "m.text", "body": ["hi"]}),
        event({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}, "m.room.encrypted"),
        event({"membership": "join"}, "m.room.member", state_key=ANN),
        event(text("a state event"), state_key=""),
        event(text("hi"), event_id=None),
        event(text("hi"), sender=["@ann:example.internal"]),
        event("hi"),
        [],
        None,
    ],
)
def test_what_says_nothing_is_no_event(raw: object) -> None:
    assert parse_event(raw, NAMES) is None


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_mended() -> None:
    assert message(text("a\ud800b \ud83d\ude00")).text == "a\ufffdb \U0001f600"


@pytest.mark.parametrize("time", [None, "now", 1.5, -1, True, 2**63])
def test_a_nonsensical_time_is_the_beginning_of_time(time: object) -> None:
    assert message(text("hi"), origin_server_ts=time).time == "1970-01-01T00:00:00.000Z"


def test_encrypted_events_are_known_as_such() -> None:
    assert is_encrypted(event({}, "m.room.encrypted"))
    assert not is_encrypted(event(text("hi")))
    assert not is_encrypted(None)


@pytest.mark.parametrize(
    ("raw", "transaction"),
    [
        (event(text("hi"), unsigned={"transaction_id": "01JD"}), "01JD"),
        (event(text("hi", **{"dev.fleetchat.transaction_id": "01JD"})), "01JD"),
        (event(text("hi", **{"dev.fleetchat.transaction_id": 7})), None),
        (event(text("hi"), unsigned=None), None),
        (None, None),
    ],
)
def test_own_events_tell_their_transaction(raw: object, transaction: str | None) -> None:
    assert own_transaction(raw) == transaction


@given(HOSTILE_EVENTS | JSON)
@settings(deadline=None)
def test_nothing_that_a_server_sends_breaks_the_parser(raw: Any) -> None:
    own_transaction(raw)
    parsed = parse_event(raw, NAMES)
    if parsed is not None:
        orjson.dumps(parsed.to_json())
        assert parsed.id
        if isinstance(parsed, MessageEvent | EditEvent):
            assert parsed.text
