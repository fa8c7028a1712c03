"""How homeservers differ, as far as a client can see it.

`SYNAPSE` is measured: tests/integration/test_fake_against_synapse.py drives the same scenario
against the real one and compares the answers. `CONDUIT` is read in the sources of that family
(Conduit, conduwuit, tuwunel); none of them can be installed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Profile:
    """One kind of homeserver.

    Attributes:
        versions: what `/versions` lists.
        obeys_timeline_limit: whether the filter's timeline limit counts; if not, it is always 10.
        longest_timeline: the most events a timeline or a page of `/messages` ever holds.
        wakes_empty: a long poll that an event ends is answered as it was when it began: empty,
            with the old position. The event comes with the next call.
        longest_poll_s: how long a poll may wait, whatever the client asks.
        zero_for_bad_since: a `since` that cannot be read counts as 0 instead of an error.
        txn_scope: transaction ids are remembered for (device, room) or for (user, device).
        echo_scope: who sees `unsigned.transaction_id` of an own event.
        has_soft_logout: an expired token is told apart from a revoked one.
        exact_to: `/messages` stops at `to` only when an event of the room stands exactly there,
            so that a `next_batch` that another room or a receipt has moved on stops nothing.
        bare_leave: a room that was left comes without events: no reason, no sender.
    """

    name: str
    versions: tuple[str, ...]
    obeys_timeline_limit: bool = True
    longest_timeline: int = 100
    longest_page: int = 1000
    wakes_empty: bool = False
    longest_poll_s: float = 3600.0
    zero_for_bad_since: bool = False
    txn_scope: Literal["device-room", "user-device"] = "device-room"
    echo_scope: Literal["device", "user"] = "device"
    has_soft_logout: bool = True
    exact_to: bool = False
    bare_leave: bool = False

    def token(self, position: int) -> str:
        """A sync or page token for a position of the stream."""
        return str(position) if self.name == "conduit" else f"s{position}_1_0_1"

    def position(self, token: str) -> int | None:
        """The position a token stands for; None when it is none of ours."""
        shape = r"(\d+)" if self.name == "conduit" else r"s(\d+)(?:_\d+)+"
        found = re.fullmatch(shape, token, re.ASCII)
        return int(found[1]) if found else None


SYNAPSE = Profile(
    name="synapse",
    versions=("r0.6.1", *(f"v1.{minor}" for minor in range(1, 16))),
)

CONDUIT = Profile(
    name="conduit",
    versions=("r0.5.0", "r0.6.0", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.8", "v1.11", "v1.12"),
    obeys_timeline_limit=False,
    longest_page=100,
    wakes_empty=True,
    longest_poll_s=30.0,
    zero_for_bad_since=True,
    txn_scope="user-device",
    echo_scope="user",
    has_soft_logout=False,
    exact_to=True,
    bare_leave=True,
)
