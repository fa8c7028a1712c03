"""What a homeserver's answers mean: the words, and that no answer breaks them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.connectors.guide import Finding
from fleetchatd.connectors.matrix import judgement
from fleetchatd.connectors.matrix.judgement import People
from fleetchatd.connectors.matrix.room import Room
from tests.harness.guides import amiss
from tests.unit.connectors.matrix.test_power import JSON

ME, ANN, BEN = "@mos:fleet.test", "@ann:fleet.test", "@ben:fleet.test"


def member(user: str, membership: object) -> dict[str, Any]:
    content = {"membership": membership}
    return {"type": "m.room.member", "state_key": user, "sender": user, "content": content}


def rule(value: str) -> dict[str, Any]:
    return {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": value}}


ENCRYPTED = {"type": "m.room.encryption", "state_key": "", "content": {}}


def sound(finding: Finding) -> bool:
    """Whether it can stand on a line, and says what to do if something is amiss."""
    line = f"{finding.what}{finding.remedy}"
    return (
        line.isprintable()
        and len(line) < 1000
        and (finding.remedy is None) == (finding.level == "ok")
    )


@pytest.mark.parametrize(
    ("versions", "level", "says"),
    [
        (["r0.6.1", "v1.9", "v1.15", "v1.2"], "ok", "up to v1.15"),
        (["r0.6.1", 7, "v1.²", "\x1b"], "ok", "is a Matrix homeserver"),
        ([], "ok", "is a Matrix homeserver"),
        (None, "error", "not as a Matrix homeserver does"),
    ],
)
def test_any_version_will_do(versions: object, level: str, says: str) -> None:
    finding = judgement.speaks_matrix("https://h.test", {"versions": versions})
    assert finding.level == level
    assert finding.what.endswith(says)
    assert sound(finding)


@pytest.mark.parametrize(
    ("flows", "level", "says"),
    [
        ([{"type": "m.login.sso"}, {"type": "m.login.password"}], "ok", "password"),
        ([{"type": "m.login.sso"}, {"type": "m.login.token"}], "warning", "m.login.sso, m.login.t"),
        ([], "warning", "no way at all"),
        (None, "warning", "no way at all"),
        ([7, {"type": ["m.login.password"]}, {"type": "\x1b[2J"}], "warning", "(it offers [2J)"),
    ],
)
def test_how_one_logs_in_is_told(flows: object, level: str, says: str) -> None:
    finding = judgement.ways_in(judgement.flows_of({"flows": flows}), ME)
    assert finding.level == level
    assert says in finding.what
    assert sound(finding)


@pytest.mark.parametrize(
    "mark", ["oauth_aware_preferred", "org.matrix.msc3824.delegated_oidc_compatibility"]
)
def test_where_elements_tokens_last_for_minutes_another_is_asked_for(mark: str) -> None:
    flows = judgement.flows_of({"flows": [{"type": "m.login.sso", mark: True}]})
    _, remedy = judgement.without_password(flows, ME)
    assert "issue-compatibility-token mos)" in remedy
    assert "Help & About" not in remedy


@pytest.mark.parametrize(
    ("state", "allowed", "lines"),
    [
        ([member(ME, "join")], None, ["ok", "ok"]),
        ([member(ME, "join"), rule("public")], {ANN}, ["ok", "ok"]),
        ([member(ME, "join"), rule("public")], None, ["error allowed_senders"]),
        ([member(ME, "join"), ENCRYPTED], None, ["error room_id"]),
        ([member(ME, "invite")], None, ["ok"]),  # not that it is not encrypted
        ([member(ME, "invite"), rule("public")], None, ["ok", "error allowed_senders"]),
        ([member(ME, "invite"), ENCRYPTED], None, ["ok", "error room_id"]),
        ([], None, ["error room_id"]),
    ],
)
def test_a_room_is_judged_as_it_will_be_once_we_are_in_it(
    state: list[Any], allowed: set[str] | None, lines: list[str]
) -> None:
    room = Room("!r", ME)
    for event in state:
        room.apply(event)
    before = room.membership
    found = judgement.standing(room, allowed)
    assert [f"{one.level} {one.about or ''}".rstrip() for one in found] == lines
    assert room.membership == before
    assert all(map(sound, found))


@given(
    st.frozensets(st.sampled_from([ME, ANN, BEN])),
    st.frozensets(st.sampled_from([ANN, BEN])),
    st.none() | st.frozensets(st.sampled_from([ANN, BEN]), min_size=1),
)
def test_a_warning_comes_if_and_only_if_somebody_is_missed(
    joined: frozenset[str], invited: frozenset[str], allowed: frozenset[str] | None
) -> None:
    found = judgement.company(People(joined, invited - joined), ME, allowed)
    warned = [one.level == "warning" for one in found]
    alone = not joined - {ME}
    assert warned[0] == alone
    missed = bool((allowed or set()) - joined - (invited if alone else set()))
    assert any(warned[1:]) == missed
    assert all(map(sound, found))


def test_who_is_invited_is_told_to_accept_and_nobody_to_invite_them_again() -> None:
    found = judgement.company(People(frozenset({ME, BEN}), frozenset({ANN})), ME, {ANN})
    (line,) = amiss(found)
    assert line.endswith(f"-> accept the invitation as {ANN} [None]")


@pytest.mark.parametrize(("allowed", "level"), [({ME, ANN}, "warning"), ({ME}, "error")])
def test_that_the_orchestrator_does_not_listen_to_itself_is_told(
    allowed: set[str], level: str
) -> None:
    (line,) = amiss(judgement.company(People(frozenset({ME, ANN}), frozenset()), ME, allowed))
    assert line.startswith(f"{level} allowed_senders names {ME}, the orchestrator itself")


def test_of_many_people_the_first_are_named_and_the_others_counted() -> None:
    crowd = frozenset(f"@u{number:05}:fleet.test" for number in range(50_000))
    (finding,) = judgement.company(People(crowd, frozenset()), ME, None)
    assert finding.what.endswith(
        "@u00000:fleet.test, @u00001:fleet.test, @u00002:fleet.test and 49997 more"
    )


@given(JSON, st.lists(JSON | st.builds(member, st.text(max_size=5), JSON), max_size=4))
def test_no_answer_breaks_a_judgement(anything: object, events: list[object]) -> None:
    answer = {"versions": anything, "flows": events, "chunk": [*events, anything]}
    found = [
        judgement.speaks_matrix("https://h.test", answer),
        judgement.ways_in(judgement.flows_of({"flows": anything}), ME),
        judgement.ways_in(judgement.flows_of(answer), ME),
        *judgement.company(judgement.people_of(answer), ME, {ANN}),
        *judgement.company(judgement.people_of({"chunk": anything}), ME, None),
    ]
    assert all(map(sound, found))
