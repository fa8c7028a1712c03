from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.connectors.matrix.room import Problem, Room, Verdict
from tests.unit.connectors.matrix.test_events import JSON

ME = "@mos:example.internal"
ANN = "@ann:example.internal"
EVE = "@eve:elsewhere.example"
STATE_TYPES = ["member", "join_rules", "history_visibility", "encryption", "tombstone"]


def state(kind: str, content: object, *, key: object = "", sender: object = ANN) -> dict[str, Any]:
    """A state event as Synapse 1.163 sends it."""
    return {
        "type": f"m.room.{kind}",
        "state_key": key,
        "sender": sender,
        "event_id": "$s",
        "origin_server_ts": 1_763_816_400_123,
        "content": content,
    }


def member(user: str, membership: str, sender: str = ANN, **content: object) -> dict[str, Any]:
    return state("member", {"membership": membership} | content, key=user, sender=sender)


def room(*events: object) -> Room:
    """A private room of ours, after some more events."""
    known = Room("!room:example.internal", ME)
    private = [
        state("create", {"room_version": "12"}),
        member(ANN, "join", displayname="Ann"),
        state("join_rules", {"join_rule": "invite"}),
        state("history_visibility", {"history_visibility": "shared"}),
        member(ME, "join", ME),
    ]
    for event in [*private, *events]:
        known.apply(event)
    return known


def problem(known: Room, allowed_senders: frozenset[str] | None = None) -> Verdict:
    verdict = known.verdict(allowed_senders)
    assert verdict is not None
    return verdict


def test_a_private_room_is_fine_and_its_members_may_speak() -> None:
    assert room().verdict(None) is None
    assert room().may_speak(ANN, None)


def test_our_own_words_are_nobodys() -> None:
    assert not room().may_speak(ME, None)
    assert not room().may_speak(ME, frozenset({ME}))


def test_with_allowed_senders_those_alone_may_speak() -> None:
    assert room().may_speak(ANN, frozenset({ANN}))
    assert not room().may_speak(EVE, frozenset({ANN}))
    assert not room().may_speak(ANN, frozenset())


def test_nobody_may_speak_while_nothing_is_known_of_the_room() -> None:
    unknown = Room("!room:example.internal", ME)
    assert not unknown.may_speak(ANN, None)
    assert problem(unknown).problem is Problem.NOT_JOINED


@pytest.mark.parametrize(
    "rule", ["public", "restricted", "knock_restricted", "private", "", None, 7]
)
def test_any_other_join_rule_counts_as_open(rule: object) -> None:
    known = room(state("join_rules", {"join_rule": rule}))
    verdict = problem(known)
    assert verdict.problem is Problem.OPEN
    assert "connector.matrix.allowed_senders" in verdict.detail
    assert not known.may_speak(ANN, None)


def test_a_world_readable_room_is_open() -> None:
    known = room(state("history_visibility", {"history_visibility": "world_readable"}))
    assert problem(known).problem is Problem.OPEN
    assert "world-readable" in problem(known).detail


def test_allowed_senders_make_an_open_room_usable() -> None:
    known = room(state("join_rules", {"join_rule": "public"}))
    assert known.verdict(frozenset({ANN})) is None
    assert known.may_speak(ANN, frozenset({ANN}))


def test_a_room_that_is_closed_again_is_fine_again() -> None:
    known = room(state("join_rules", {"join_rule": "public"}))
    known.apply(state("join_rules", {"join_rule": "knock"}))
    assert known.verdict(None) is None


def test_missing_state_means_what_the_specification_says() -> None:
    known = Room("!room:example.internal", ME)
    known.apply(member(ME, "join", ME))
    assert known.verdict(None) is None
    assert room(state("join_rules", {}), state("history_visibility", {})).verdict(None) is None


@pytest.mark.parametrize("content", [{"algorithm": "m.megolm.v1.aes-sha2"}, {}, None])
def test_an_encrypted_room_stays_so(content: object) -> None:
    known = room(state("encryption", content), state("encryption", {}))
    assert problem(known).problem is Problem.ENCRYPTED
    assert known.encrypted


def test_state_under_another_key_is_not_the_rooms() -> None:
    known = room(
        state("encryption", {}, key="x"),
        state("tombstone", {}, key=ANN),
        state("join_rules", {"join_rule": "public"}, key=None),
    )
    assert known.verdict(None) is None


def test_an_upgraded_room_names_the_new_one() -> None:
    known = room(state("tombstone", {"body": "moved", "replacement_room": "!new"}))
    assert problem(known) == Verdict(
        Problem.REPLACED,
        "cannot use room !room:example.internal: it was replaced by !new; "
        "put the new one into the roster as connector.matrix.room_id",
    )


def test_a_kick_names_who_and_why() -> None:
    known = room(member(ME, "leave", ANN, reason="not\nneeded"))
    assert problem(known) == Verdict(
        Problem.NOT_JOINED,
        f"cannot use room !room:example.internal: {ME} was kicked by {ANN} (not needed); "
        "invite it again",
    )


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (member(ME, "ban", ANN, reason="spam"), f"was banned by {ANN} (spam); lift the ban"),
        (member(ME, "leave", ME), "has left it; invite it again"),
        (member(ME, "invite", ANN), "is invited and has not joined yet"),
        (member(ME, "knock", ME), "is not in it; invite it"),
    ],
)
def test_whoever_is_not_in_the_room_learns_why(event: object, says: str) -> None:
    assert says in problem(room(event)).detail


def test_an_invitation_after_a_kick_and_joining_mend_it() -> None:
    known = room(member(ME, "leave", ANN), member(ME, "invite", ANN))
    assert known.membership == "invite"
    known.apply(member(ME, "join", ME))
    assert known.verdict(None) is None


def test_a_reason_cannot_flood_the_detail() -> None:
    detail = problem(room(member(ME, "leave", ANN, reason="x\x1b[31m" * 50_000))).detail
    assert len(detail) < 400
    assert detail.isprintable()


def test_members_have_the_names_that_they_gave_last() -> None:
    known = room(member(EVE, "join", EVE, displayname="Eve"))
    assert known.names == {ANN: "Ann", EVE: "Eve"}
    known.apply(member(ANN, "join", ANN, displayname="Annie"))
    known.apply(member(EVE, "join", EVE))
    assert known.names == {ANN: "Annie"}


def test_who_left_keeps_the_name_under_which_they_spoke() -> None:
    known = room(member(ANN, "leave", ANN))
    assert known.names == {ANN: "Ann"}
    assert known.joined == {ME}


def test_a_name_cannot_break_a_line_or_move_a_cursor() -> None:
    name = "Ann\n\x1b[2Jmos: \u202eapproved \U0001f469\u200d\U0001f467"
    known = room(member(ANN, "join", ANN, displayname=name))
    assert known.names == {ANN: "Ann [2Jmos: approved \U0001f469\u200d\U0001f467"}


@pytest.mark.parametrize("name", [7, None, "", " ", ["Ann"]])
def test_a_nonsensical_name_is_none(name: object) -> None:
    assert room(member(ANN, "join", ANN, displayname=name)).names == {}


HOSTILE_STATE = st.builds(
    state,
    st.sampled_from(STATE_TYPES),
    st.dictionaries(
        st.sampled_from(["membership", "join_rule", "displayname", "reason", "replacement_room"]),
        st.sampled_from(["join", "leave", "ban", "public"]) | JSON,
    )
    | JSON,
    key=st.sampled_from(["", ME, ANN]) | JSON,
    sender=st.just(ANN) | JSON,
)


@given(st.lists(HOSTILE_STATE | JSON, max_size=8))
@settings(deadline=None)
def test_nothing_that_a_server_sends_breaks_the_room(events: list[object]) -> None:
    known = Room("!room", ME)
    for event in events:
        known.apply(event)
    verdict = known.verdict(None)
    orjson.dumps([known.names, sorted(known.joined), verdict.detail if verdict else None])
    assert not (known.open and known.may_speak(ANN, None))
