"""The channel as it is now: who may see it, and what we may do there ("Permissions")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fleetchatd.connectors.discord.raw import bits_of, id_of
from fleetchatd.connectors.untrusted import list_of, mapping_of, one_line, text_of
from fleetchatd.model import HealthStatus

ADMINISTRATOR = 1 << 3
VIEW = 1 << 10
SEND = 1 << 11
HISTORY = 1 << 16

NEEDED: Mapping[int, str] = {
    VIEW: "View Channel",
    SEND: "Send Messages",
    HISTORY: "Read Message History",
    1 << 35: "Create Public Threads",
    1 << 38: "Send Messages in Threads",
}
"""What a bot must be granted; together 309237713920."""

TEXT_CHANNELS = (0, 5)  # text and announcements
THREADS = (10, 11, 12)

BLANK = (
    "the channel's history is empty, although something was said there, so that what is said while "
    "we are not connected may be lost; grant the bot Read Message History, or say something if all "
    "was deleted"
)
OPEN = (
    "the channel is open to @everyone; set connector.discord.allowed_senders in the roster, or "
    "take View Channel from @everyone there"
)
_ALL = ~0
_NAME_UNITS = 100


class Verdict(NamedTuple):
    """Why all is not well with a channel, and what to do."""

    status: HealthStatus
    detail: str


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of the channel.

    Attributes:
        open: @everyone may view it.
        mine: our own permissions there.
        told: the server told of roles; if not, `open` and `mine` are assumed.
        last_message_id: of the newest message, perhaps deleted since; None if there never was one.
        blank: its history is empty all the same.
    """

    channel_id: str
    guild_id: str
    kind: int
    open: bool
    mine: int
    last_message_id: str | None
    blank: bool = False
    told: bool = True

    @property
    def readable(self) -> bool:
        """Whether its history can be read; if not, Discord says that it is empty."""
        return bool(self.mine & HISTORY) and not self.blank

    @property
    def unusable(self) -> str | None:
        """Why nothing at all can be done there; None if something can."""
        if self.kind not in TEXT_CHANNELS:
            return (
                f"{self.channel_id} is no text channel; "
                "mend connector.discord.channel_id in the roster"
            )
        return None if self.mine & VIEW else no_access(self.channel_id)

    @property
    def missing(self) -> Sequence[str]:
        """The permissions that we need there and have not, by their names."""
        return [name for bit, name in NEEDED.items() if not self.mine & bit]

    def verdict(self, allowed_senders: Collection[str] | None) -> Verdict | None:
        """Why the channel cannot be used as it should be; None if it can."""
        if self.unusable is not None:
            return Verdict("down", self.unusable)
        if self.open and allowed_senders is None:
            return Verdict("down", OPEN)
        if not self.missing:
            return Verdict("degraded", BLANK) if self.blank else None
        detail = f"the bot lacks {' and '.join(self.missing)} in the channel; grant it"
        if not self.readable:
            detail += ": until then, what is said while we are not connected is lost"
        return Verdict("degraded", detail)


def no_access(channel_id: str) -> str:
    """The sentence for a channel that we may not see, or that is not there."""
    return (
        f"channel {channel_id} is not there, or not for this bot to see; invite the bot and let it "
        "view the channel, or mend connector.discord.channel_id in the roster"
    )


def place_of(channel: object, guild: object, member: object, me: str) -> Place | None:
    """The place that three answers describe: of the channel, its guild and our own member there.

    Where a server tells no roles, @everyone counts as let in, and it is left to its answers what
    we may do.

    Returns:
        None if they do not describe one.
    """
    channel, guild, member = mapping_of(channel), mapping_of(guild), mapping_of(member)
    channel_id, guild_id = id_of(channel.get("id")), id_of(channel.get("guild_id"))
    if channel_id is None or guild_id is None:
        return None
    roles = {
        text_of(mapping_of(role).get("id")): bits_of(mapping_of(role).get("permissions"))
        for role in list_of(guild.get("roles"))
    }
    held = [role for role in list_of(member.get("roles")) if isinstance(role, str)]
    kind = channel.get("type")
    told = guild_id in roles
    everything = not told or guild.get("owner_id") == me
    roles = {guild_id: VIEW} | roles
    return Place(
        channel_id,
        guild_id,
        kind if isinstance(kind, int) else -1,
        open=bool(_granted(roles, channel, guild_id, (), "") & VIEW),
        mine=_ALL if everything else _granted(roles, channel, guild_id, held, me),
        last_message_id=id_of(channel.get("last_message_id")),
        told=told,
    )


def _granted(
    roles: Mapping[str, int],
    channel: Mapping[Any, Any],
    everyone: str,
    held: Collection[str],
    member_id: str,
) -> int:
    """The permissions of a member who holds some roles; of @everyone without any ("Overwrites")."""
    granted = 0
    for role_id in (everyone, *held):
        granted |= roles.get(role_id, 0)
    if granted & ADMINISTRATOR:
        return _ALL
    overwrites = [mapping_of(entry) for entry in list_of(channel.get("permission_overwrites"))]
    for ids in ((everyone,), held, (member_id,)):
        granted = _overwritten(granted, [one for one in overwrites if one.get("id") in ids])
    return granted


def _overwritten(granted: int, overwrites: Iterable[Mapping[Any, Any]]) -> int:
    denied = allowed = 0
    for entry in overwrites:
        denied |= bits_of(entry.get("deny"))
        allowed |= bits_of(entry.get("allow"))
    return granted & ~denied | allowed


def thread_parent(channel: object) -> str | None:
    """The channel that a thread stands in; None for what is no thread."""
    thread = mapping_of(channel)
    return id_of(thread.get("parent_id")) if thread.get("type") in THREADS else None


def thread_name(message: object) -> str:
    """What a thread on this message is called: its first line, as far as a name may go."""
    lines = text_of(mapping_of(message).get("content")).splitlines()
    first = next((line for line in lines if one_line(line)), "")
    # Counted in UTF-16 units, two bytes each; half a character is left out.
    name = one_line(first, 2 * _NAME_UNITS).encode("utf-16-le")[: 2 * _NAME_UNITS]
    return name.decode("utf-16-le", "ignore").strip() or "Thread"
