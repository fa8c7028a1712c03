from __future__ import annotations

from collections import Counter
from typing import Any

from structlog.testing import capture_logs

from fleetchatd.connectors.matrix.reader import THREADS, Reader
from fleetchatd.connectors.matrix.room import Room
from fleetchatd.model import GapEvent, MessageEvent, RedactionEvent
from tests.unit.connectors.matrix.test_room import ANN, EVE, ME, member, room, state


def said(text: str, sender: str = ANN, event_id: str = "$e", **content: Any) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "sender": sender,
        "event_id": event_id,
        "origin_server_ts": 1,
        "content": {"msgtype": "m.text", "body": text} | content,
    }


def reader(known: Room | None = None, allowed: frozenset[str] | None = None) -> Reader:
    return Reader(known or room(), allowed, Counter())


def thread(root: str) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}


def test_who_may_speak_is_judged_event_by_event() -> None:
    one = reader()
    opened = state("join_rules", {"join_rule": "public"})
    closed = state("join_rules", {"join_rule": "knock"})
    timeline = [said("a"), opened, said("b", EVE), said("c"), closed, said("d")]
    read = one.read(one.digest(timeline))
    assert [event.text for event in read.events if isinstance(event, MessageEvent)] == ["a", "d"]


def test_a_refused_sender_is_counted_and_its_words_are_logged_nowhere() -> None:
    counts: Counter[str] = Counter()
    one = Reader(room(), frozenset({ANN}), counts)
    with capture_logs() as logs:
        read = one.read(one.digest([said("Zwiebelfisch", EVE)]))
    assert read.events == []
    assert counts == {"refused_senders": 1}
    assert [entry["sender"] for entry in logs] == [EVE]
    assert "Zwiebelfisch" not in str(logs)


def test_a_redaction_by_whoever_may_not_speak_counts_for_what_was_delivered() -> None:
    one = reader(allowed=frozenset({ANN}))
    for sender, welcome in ((ANN, True), (EVE, False), (ME, False)):
        redaction = said("", sender) | {"type": "m.room.redaction", "redacts": "$x"}
        (event,) = one.read(one.digest([redaction])).events
        assert isinstance(event, RedactionEvent)
        assert event.welcome is welcome


def test_our_own_confirm_and_are_no_events() -> None:
    one = reader()
    mine = said("mine", ME, "$m") | {"unsigned": {"transaction_id": "t1"}}
    read = one.read(one.digest([mine, said("other client", ME, "$n")]))
    assert read.events == []
    assert read.confirmations == [("t1", "$m")]


def test_the_newest_event_of_a_thread_is_known_of_the_latest_threads() -> None:
    one = reader()
    timeline = [said("x", event_id=f"$e{n}", **thread(f"$t{n}")) for n in range(THREADS + 10)]
    one.read(one.digest([*timeline, said("y", ME, "$mine", **thread("$t20"))]))
    assert one.latest("$t0") is None
    assert one.latest("$t20") == "$mine"
    assert one.latest(f"$t{THREADS}") == f"$e{THREADS}"
    assert one.latest(None) is None


def test_coming_back_leaves_a_gap_only_where_the_past_is_hidden() -> None:
    out = [member(ME, "leave"), said("hidden"), member(ME, "invite"), member(ME, "join", ME)]
    one = reader()
    assert not [e for e in one.read(one.digest(out)).events if isinstance(e, GapEvent)]
    hidden = state("history_visibility", {"history_visibility": "invited"})
    two = reader(room(hidden))
    events = two.read(two.digest([*out, member(ME, "join", ME, displayname="Mos")])).events
    assert [type(event) for event in events] == [MessageEvent, GapEvent]


def test_names_that_a_page_brings_with_it_are_learnt_and_our_membership_is_not() -> None:
    one = reader()
    members = [member(EVE, "join", displayname="Eve"), member(ME, "leave"), None, 7]
    (event,) = one.read(one.digest([said("hello", EVE)], members)).events
    assert isinstance(event, MessageEvent)
    assert event.sender_name == "Eve"
    assert one.room.membership == "join"
