"""What is known of the room, from its state events, and whether one can talk in it.

Client-server API: "Room membership", "Join rules", "Room history visibility", "Room upgrades",
"End-to-end encryption".
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from fleetchatd.connectors.untrusted import clause, mapping_of, one_line, text_of

_CLOSED_JOIN_RULES = frozenset({"invite", "knock"})


class Problem(StrEnum):
    """Why the connector cannot work in the room."""

    NOT_JOINED = "not-joined"
    ENCRYPTED = "encrypted"
    REPLACED = "replaced"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A problem of the room that a person must mend; until then what is to be sent waits.

    Attributes:
        problem: what kind of problem it is.
        detail: the sentence that health shows.
    """

    problem: Problem
    detail: str


class Room:
    """The present state of one room, seen by the account `me`.

    Feed it every state event that comes, oldest first: the items of `/rooms/{id}/state`, then of
    each `/sync` first those of `state`, then those of `timeline`. To judge a message of the
    timeline, ask before the events behind it are fed.

    Attributes:
        names: what the members call themselves, by user id, fit for one line; those who left stay.
        joined: the members known to be in the room. With lazy loading they are not all.
        membership: our own; None while nothing tells it.
    """

    def __init__(self, room_id: str, me: str) -> None:
        self.room_id = room_id
        self.me = me
        self.names: dict[str, str] = {}
        self.joined: set[str] = set()
        self.membership: str | None = None
        self.encrypted = False
        self._join_rule = "invite"  # what a room without the event has
        self._history_visibility = "shared"  # likewise
        self._replaced = False
        self._replacement = ""
        self._membership_by = ""
        self._membership_reason = ""

    def apply(self, raw: object) -> None:
        """Learn from an event; what is none, or is no state event, says nothing here."""
        if not isinstance(raw, dict) or "state_key" not in raw:
            return
        content = mapping_of(raw.get("content"))
        kind, key = raw.get("type"), raw["state_key"]
        if kind == "m.room.member":
            self._learn_member(text_of(key), text_of(raw.get("sender")), content)
        if key != "":
            return
        if kind == "m.room.join_rules":
            self._join_rule = text_of(content.get("join_rule", "invite"))
        elif kind == "m.room.history_visibility":
            self._history_visibility = text_of(content.get("history_visibility", "shared"))
        elif kind == "m.room.encryption":
            self.encrypted = True  # there is no way back ("m.room.encryption")
        elif kind == "m.room.tombstone":
            self._replaced = True
            self._replacement = text_of(content.get("replacement_room"))

    @property
    def rules(self) -> tuple[str, str]:
        """The join rule and the history visibility: who may speak depends on them."""
        return self._join_rule, self._history_visibility

    @rules.setter
    def rules(self, rules: tuple[str, str]) -> None:
        self._join_rule, self._history_visibility = rules

    @property
    def hides_the_past(self) -> bool:
        """Whether what was said while we were not in the room stays unknown to us."""
        return self._history_visibility not in ("shared", "world_readable")

    @property
    def open(self) -> bool:
        """Whether anybody may come in or listen, so that being there proves nothing."""
        return (
            self._join_rule not in _CLOSED_JOIN_RULES
            or self._history_visibility == "world_readable"
        )

    def may_speak(self, sender: str, allowed_senders: Set[str] | None) -> bool:
        """Whether what `sender` said reaches subscribers (our own never does).

        Without `allowed_senders` it is every member, if it takes an invitation to be one; that the
        sender of an event was a member is what the server checks ("Authorization rules").
        """
        if sender == self.me:
            return False
        if allowed_senders is not None:
            return sender in allowed_senders
        return self.membership is not None and not self.open  # nothing known: nobody

    def verdict(self, allowed_senders: Set[str] | None) -> Verdict | None:
        """What stands against working in the room, the gravest first; None if all is well."""
        if self.membership != "join":
            return self._unusable(Problem.NOT_JOINED, self._why_not_joined())
        if self.encrypted:
            why = "it is encrypted, which this connector does not support"
            remedy = "put a room without encryption into the roster"
            return self._unusable(Problem.ENCRYPTED, f"{why}; {remedy}")
        if self._replaced:
            why = f"it was replaced by {clause(self._replacement) or 'another room'}"
            remedy = "put the new one into the roster as connector.matrix.room_id"
            return self._unusable(Problem.REPLACED, f"{why}; {remedy}")
        if allowed_senders is None and self.open:
            remedy = "set connector.matrix.allowed_senders in the roster, or close the room"
            return self._unusable(Problem.OPEN, f"{self._why_open()}; {remedy}")
        return None

    def _unusable(self, problem: Problem, why: str) -> Verdict:
        return Verdict(problem, f"cannot use room {self.room_id}: {why}")

    def _learn_member(self, user: str, sender: str, content: object) -> None:
        fields = mapping_of(content)
        membership = text_of(fields.get("membership"))
        if not user or not membership:
            return
        if membership == "join":
            self.joined.add(user)
            self._learn_name(user, one_line(fields.get("displayname")))
        else:
            self.joined.discard(user)
        if user == self.me:
            self.membership = membership
            self._membership_by = sender
            self._membership_reason = clause(fields.get("reason"))

    def _learn_name(self, user: str, name: str) -> None:
        if name:
            self.names[user] = name
        else:
            self.names.pop(user, None)

    def _why_not_joined(self) -> str:
        reason = f" ({self._membership_reason})" if self._membership_reason else ""
        who = clause(self._membership_by) or "somebody"
        if self.membership == "invite":
            return f"{self.me} is invited and has not joined yet; it joins by itself"
        if self.membership == "ban":
            return f"{self.me} was banned by {who}{reason}; lift the ban and invite it again"
        if self.membership == "leave" and self._membership_by not in ("", self.me):
            return f"{self.me} was kicked by {who}{reason}; invite it again"
        if self.membership == "leave":
            return f"{self.me} has left it{reason}; invite it again"
        return f"{self.me} is not in it; invite it"

    def _why_open(self) -> str:
        if self._history_visibility == "world_readable":
            return "it is open to everybody (its history is world-readable)"
        return f"it is open to everybody (join rule {clause(self._join_rule) or 'unknown'})"
