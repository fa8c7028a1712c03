"""What `/sync` says of a world: functions of values, no I/O.

Client-server specification, "Syncing".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.filters import DEFAULT_LIMIT, SyncFilter
from tests.fakes.pages import render
from tests.fakes.profiles import Profile
from tests.fakes.room import Entry, FakeRoom
from tests.fakes.world import Login, World

_TOLD_TO_INVITED = (
    "m.room.create",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.avatar",
    "m.room.encryption",
    "m.room.name",
    "m.room.topic",
)


@dataclass(frozen=True)
class Sync:
    """One `/sync` of one login: everything after `since`, up to `until`."""

    world: World
    profile: Profile
    login: Login
    filter: SyncFilter
    since: int | None
    until: int

    def body(self) -> dict[str, Any]:
        """The answer; without `rooms` when there is nothing to tell."""
        rooms = {
            "join": self._each(self._joined),
            "invite": self._each(self._invited),
            "leave": self._each(self._left),
        }
        told = {key: value for key, value in rooms.items() if value}
        body: dict[str, Any] = {"next_batch": self.profile.token(self.until)}
        if told:
            body["rooms"] = told
        return body

    def _each(self, tell: Callable[[FakeRoom], dict[str, Any] | None]) -> dict[str, Any]:
        told = {room.room_id: tell(room) for room in self.world.rooms.values()}
        return {room_id: block for room_id, block in told.items() if block is not None}

    def _membership(self, room: FakeRoom, position: int | None) -> str | None:
        return None if position is None else room.membership(self.login.user_id, position)

    def _joined(self, room: FakeRoom) -> dict[str, Any] | None:
        if self._membership(room, self.until) != "join" or not self.filter.wants(room):
            return None
        was_in = self._membership(room, self.since) == "join"
        after = self.since if was_in and self.since is not None else 0
        block = self._timeline(room, after, self.until, fresh=not was_in)
        block["ephemeral"] = {"events": self._receipts(room, self.since or 0)}
        parts = (block["timeline"], block["state"], block["ephemeral"])
        if was_in and not any(part["events"] for part in parts):
            return None
        return block

    def _timeline(self, room: FakeRoom, after: int, until: int, *, fresh: bool) -> dict[str, Any]:
        """Timeline and state of a room between two positions."""
        found = self.filter.timeline.pick(room.between(after, until))
        shown = found[-self._limit :] if self._limit else []
        limited = len(found) > len(shown)
        start = shown[0].position - 1 if shown else until
        state = self._state(room, after, start, shown, fresh=fresh, limited=limited)
        events = [render(entry, self.login, self.profile, in_sync=True) for entry in shown]
        # Synapse's token means "everything up to here"; Conduit's is the first event itself.
        before = start + 1 if self.profile.exact_to and shown else start
        return {
            "timeline": {
                "events": events,
                "limited": limited,
                "prev_batch": self.profile.token(before),
            },
            "state": {"events": [render(entry, self.login, self.profile) for entry in state]},
        }

    @property
    def _limit(self) -> int:
        if not self.profile.obeys_timeline_limit:
            return DEFAULT_LIMIT
        return min(self.filter.timeline.limit, self.profile.longest_timeline)

    def _state(
        self,
        room: FakeRoom,
        after: int,
        start: int,
        shown: list[Entry],
        *,
        fresh: bool,
        limited: bool,
    ) -> list[Entry]:
        """The state at the timeline's start, as far as the client cannot know it."""
        at_start = room.state_at(start)
        changed = [
            entry for entry in at_start.values() if fresh or (limited and entry.position > after)
        ]
        if self.filter.state.lazy_load_members:
            changed = self._lazily(room, changed, at_start, shown, fresh=fresh)
        return self.filter.state.pick(changed)

    def _lazily(
        self,
        room: FakeRoom,
        changed: list[Entry],
        at_start: Mapping[tuple[str, str], Entry],
        shown: list[Entry],
        *,
        fresh: bool,
    ) -> list[Entry]:
        """Of the members, those who speak in the timeline, unless the client has that event."""
        sent = self.login.sent_members.setdefault(room.room_id, {})
        speakers = {str(entry.get("sender")) for entry in shown}
        if self.since is None:
            sent.clear()
        if fresh:
            speakers.add(self.login.user_id)
        others = [entry for entry in changed if entry.get("type") != "m.room.member"]
        found = {speaker: at_start.get(("m.room.member", speaker)) for speaker in speakers}
        members = {speaker: entry for speaker, entry in found.items() if entry is not None}
        told = [m for who, m in members.items() if sent.get(who) != m.get("event_id")]
        sent |= {speaker: entry.get("event_id") for speaker, entry in members.items()}
        return others + told

    def _receipts(self, room: FakeRoom, after: int) -> list[dict[str, Any]]:
        if not self.filter.ephemeral.lets("m.receipt"):
            return []
        content: dict[str, Any] = {}
        for position, user_id, kind, event_id in room.receipts:
            if after < position <= self.until:
                of_event = content.setdefault(event_id, {}).setdefault(kind, {})
                of_event[user_id] = {"ts": position}
        return [{"type": "m.receipt", "content": content}] if content else []

    def _invited(self, room: FakeRoom) -> dict[str, Any] | None:
        # Synapse tells of invites whatever the filter's `rooms` says.
        entry = room.member_entry(self.login.user_id, self.until)
        if self._membership(room, self.until) != "invite" or entry is None:
            return None
        if entry.position <= (self.since or 0):
            return None
        people = {str(entry.get("sender")), self.login.user_id}
        stripped = [
            {key: known.get(key) for key in ("content", "sender", "state_key", "type")}
            for (kind, key), known in room.state_at(self.until).items()
            if kind in _TOLD_TO_INVITED or (kind == "m.room.member" and key in people)
        ]
        return {"invite_state": {"events": stripped}}

    def _left(self, room: FakeRoom) -> dict[str, Any] | None:
        left = self._departure(room)
        if left is None or not self.filter.wants(room):
            return None
        if self.profile.bare_leave:
            lazy = self.filter.state.lazy_load_members
            state = [] if lazy else [render(left, self.login, self.profile)]
            prev_batch = self.profile.token(self.until)
            timeline = {"events": [], "limited": True, "prev_batch": prev_batch}
            return {"timeline": timeline, "state": {"events": state}}
        fresh = self.since is None
        return self._timeline(room, self.since or 0, left.position, fresh=fresh)

    def _departure(self, room: FakeRoom) -> Entry | None:
        """The event that put the user out of the room, if this answer has to tell of it."""
        if self._membership(room, self.until) == "join":
            return None
        departures = [
            entry
            for entry in room.between(self.since or 0, self.until)
            if entry.get("type") == "m.room.member"
            and entry.get("state_key") == self.login.user_id
            and entry.content.get("membership") in ("leave", "ban")
        ]
        if self._membership(room, self.since) == "join":
            return departures[0]
        if self._membership(room, self.until) == "invite" or not departures:
            return None
        # Without `since`, Synapse tells of being thrown out and not of having left.
        own_choice = departures[-1].get("sender") == self.login.user_id
        return None if self.since is None and own_choice else departures[-1]
