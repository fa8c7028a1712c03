"""What answers of a homeserver mean for the conversation, as findings: pure."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from fleetchatd.connectors.guide import Finding, Level
from fleetchatd.connectors.matrix.events import id_of
from fleetchatd.connectors.matrix.power import Power
from fleetchatd.connectors.matrix.room import Problem, Room
from fleetchatd.connectors.matrix.settings import SECRETS
from fleetchatd.connectors.probe import finding
from fleetchatd.connectors.untrusted import clause, list_of, mapping_of, one_line, text_of

(_TOKEN_NAME,) = SECRETS
PASSWORD = "m.login.password"  # noqa: S105 - a kind of login

NAMED_AT_MOST = 3
"""Of more people than these only the number is told."""

_VERSION = re.compile(r"v([0-9]{1,4})\.([0-9]{1,4})")

_ABOUT = {Problem.OPEN: "allowed_senders"}  # every other problem is one of the room itself


# -- the homeserver -------------------------------------------------------------------------------


def speaks_matrix(base_url: str, answer: Mapping[str, Any]) -> Finding:
    """Whether that is a homeserver ("GET /versions"); any version will do."""
    named = answer.get("versions")
    if not isinstance(named, list):
        what = f"{base_url} answers, and not as a Matrix homeserver does"
        remedy = "put the homeserver's base URL, before /_matrix, into homeserver_url"
        return Finding("error", what, remedy, "homeserver_url")
    numbers = [(int(n[1]), int(n[2])) for v in named if (n := _VERSION.fullmatch(text_of(v)))]
    newest = f", up to v{max(numbers)[0]}.{max(numbers)[1]}" if numbers else ""
    return Finding("ok", f"{base_url} is a Matrix homeserver{newest}")


def out_of_order(base_url: str, status: int) -> Finding:
    """An answer for a homeserver that gives none: a reverse proxy's, mostly."""
    what = f"{base_url} answers {status}: the homeserver behind it does not run, or is in trouble"
    return Finding("error", what, "start it, or ask its administrator", "homeserver_url")


@dataclass(frozen=True, slots=True)
class Flows:
    """How a homeserver lets people log in ("GET /login").

    Attributes:
        types: such as `m.login.password`.
        by_oauth: Element logs in at a page of the server's own, and gets a token for minutes
            (MSC3824).
    """

    types: Sequence[str]
    by_oauth: bool

    @property
    def by_password(self) -> bool:
        """Whether a password will do."""
        return PASSWORD in self.types


_OAUTH_MARKS = ("oauth_aware_preferred", "org.matrix.msc3824.delegated_oidc_compatibility")


def flows_of(answer: Mapping[str, Any]) -> Flows:
    """What an answer offers; nothing, if it is none."""
    flows = [mapping_of(flow) for flow in list_of(answer.get("flows"))]
    types = [clause(flow.get("type"), 50) for flow in flows]
    by_oauth = any(flow.get(mark) is True for flow in flows for mark in _OAUTH_MARKS)
    return Flows([kind for kind in types if kind], by_oauth)


def without_password(flows: Flows, user_id: str) -> tuple[str, str]:
    """That a password will not do, and how to come by a token instead."""
    offered = ", ".join(flows.types[:NAMED_AT_MOST]) or "no way at all"
    what = f"the homeserver takes no password (it offers {offered})"
    if flows.by_oauth:
        name = user_id[1:].partition(":")[0]
        source = f"ask its administrator for one (mas-cli manage issue-compatibility-token {name})"
    else:
        source = (
            "copy one from Element, signed in in a private window: All settings, Help & About,"
            " Advanced, Access Token; then close that window without signing out"
        )
    remedy = f"log in with an access token: {source}, and run fleetchat login matrix --token-stdin"
    return what, remedy


def ways_in(flows: Flows, user_id: str) -> Finding:
    """How to get a login, where there is none yet."""
    if flows.by_password:
        return Finding("ok", "the homeserver lets one log in with a password", about=_TOKEN_NAME)
    return Finding("warning", *without_password(flows, user_id), _TOKEN_NAME)


# -- the room -------------------------------------------------------------------------------------


def standing(room: Room, allowed_senders: Set[str] | None) -> list[Finding]:
    """Whether the conversation can be held in the room, once we are in it."""
    found = []
    if room.membership == "invite":
        who = f"{room.me} is invited to room {room.room_id}, and joins by itself"
        found.append(Finding("ok", who))
        room = copy.copy(room)
        room.membership = "join"  # how will it be then?
    verdict = room.verdict(allowed_senders)
    if verdict is not None:
        about = _ABOUT.get(verdict.problem, "room_id")
        return [*found, finding("error", verdict.detail, about, None)]
    if found:
        return found  # an invitation need not tell whether the room is encrypted
    found.append(Finding("ok", f"{room.me} is in room {room.room_id}"))
    rule, visibility = (one_line(word, 50) for word in room.rules)
    found.append(Finding("ok", f"it is not encrypted; join rule {rule}, history {visibility}"))
    return found


def may_write(power: Power, room: Room) -> Finding:
    """Whether messages can be sent there."""
    if power.suffices:
        return Finding("ok", f"{room.me} may write there")
    what = (
        f"{room.me} may not write in room {room.room_id}:"
        f" its power level is {_number(power.has)}, and a message takes {power.takes}"
    )
    remedy = f"raise it to {power.takes} (Element: room settings, Roles & permissions)"
    return Finding("error", what, remedy, "room_id")


def _number(level: float) -> str:
    return "infinite" if math.isinf(level) else str(int(level))


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a room, and who has been asked to come."""

    joined: frozenset[str]
    invited: frozenset[str]


def people_of(answer: Mapping[str, Any]) -> People:
    """The people of a room ("GET …/members")."""
    at: dict[object, set[str]] = {"join": set(), "invite": set()}
    for raw in map(mapping_of, list_of(answer.get("chunk"))):
        user, membership = id_of(raw.get("state_key")), mapping_of(raw.get("content"))
        place = membership.get("membership")
        if user is not None and raw.get("type") == "m.room.member" and isinstance(place, str):
            at.get(place, set()).add(user)
    return People(frozenset(at["join"]), frozenset(at["invite"]))


def company(people: People, me: str, allowed_senders: Set[str] | None) -> list[Finding]:
    """Whether somebody is there to talk with."""
    others, invited = people.joined - {me}, people.invited - {me}
    found = [_others(others, invited, me)]
    if allowed_senders is not None:
        found += _heard(allowed_senders, others, invited, me)
    return found


def _heard(
    allowed_senders: Set[str], others: Set[str], invited: Set[str], me: str
) -> Iterator[Finding]:
    about, key = "allowed_senders", "connector.matrix.allowed_senders"
    if heard := allowed_senders & others:
        yield Finding("ok", f"may speak, and is there: {named(sorted(heard))}")
    if (expected := allowed_senders & invited) and others:  # told already where nobody is there
        what = f"may speak, and has not come yet: {named(sorted(expected))}"
        yield Finding("warning", what, f"accept the invitation as {named(sorted(expected))}")
    if absent := allowed_senders - others - invited - {me}:
        what = f"allowed_senders names who is not there to speak: {named(sorted(absent))}"
        yield Finding("warning", what, f"invite them to the room, or mend {key}", about)
    if me in allowed_senders:
        level: Level = "warning" if allowed_senders - {me} else "error"
        what = f"allowed_senders names {me}, the orchestrator itself, which is never listened to"
        yield Finding(level, what, f"put the operator's account into {key}", about)


def _others(others: Set[str], invited: Set[str], me: str) -> Finding:
    if others:
        return Finding("ok", f"in the room beside {me}: {named(sorted(others))}")
    what = f"nobody is in the room but {me}"
    if invited:
        return Finding("warning", what, f"accept the invitation as {named(sorted(invited))}")
    remedy = (
        "join it as the operator, or take connector.matrix.room_id out of the roster and make a"
        " room with `fleetchat init --create-room --invite ID`"
    )
    return Finding("warning", what, remedy, "room_id")


def named(users: Iterable[str]) -> str:
    """Some people by name, and how many more there are."""
    names = [one_line(user, 80) for user in users]
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
