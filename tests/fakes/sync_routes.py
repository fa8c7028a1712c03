"""The long poll and its filters."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.fakes.context import Context, demand_live
from tests.fakes.filters import SyncFilter
from tests.fakes.room import Refusal, not_found
from tests.fakes.sync_answer import Sync


def make_filter(at: Context) -> object:
    at.world.filters.append(at.body)
    return {"filter_id": str(len(at.world.filters) - 1)}


def get_filter(at: Context) -> object:
    if not at.args[1].isdigit() or int(at.args[1]) >= len(at.world.filters):
        raise not_found("No such filter")
    return at.world.filters[int(at.args[1])]


async def sync(at: Context) -> object:
    since = _since(at)
    wait_s = min(int(at.call.query.get("timeout", 0)) / 1000, at.profile.longest_poll_s)
    wanted = _sync_filter(at)

    def now() -> dict[str, Any]:
        until = at.world.position
        return Sync(at.world, at.profile, at.login, wanted, since, until).body()

    body = now()
    if "rooms" in body or since is None:
        return body
    if at.profile.wakes_empty:
        await at.poll(wait_s)
        return body
    deadline = at.call.time + wait_s
    while "rooms" not in body and (left_s := deadline - asyncio.get_running_loop().time()) > 0:
        await at.poll(left_s)
        demand_live(at.login, at.profile)
        body = now()
    return body


def _since(at: Context) -> int | None:
    token = at.call.query.get("since")
    if token is None:
        return None
    position = at.profile.position(token)
    if position is not None:
        return position
    if at.profile.zero_for_bad_since:
        return 0
    raise Refusal(400, "M_UNKNOWN", "Invalid stream token")


def _sync_filter(at: Context) -> SyncFilter:
    text = at.call.query.get("filter")
    if text is None:
        return SyncFilter()
    if text.startswith("{"):
        return SyncFilter.parse(json.loads(text))
    return SyncFilter.parse(at.world.filters[int(text)])
