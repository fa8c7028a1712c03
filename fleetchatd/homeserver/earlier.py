"""Another homeserver's login that was stored so far: it is ended there, and not just lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fleetchatd.client import output
from fleetchatd.connectors.matrix.account import TOKEN_NAME
from fleetchatd.connectors.matrix.login import logout
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret
from fleetchatd.setup.account import LOGOUT_MOST_S
from fleetchatd.setup.context import stored_login


async def end(state_dir: Path, ours: Secret) -> None:
    """End what `ours` is about to replace, if that is another homeserver's; best effort, and told.

    Killed afterwards, it leaves a login that is over, and the next try replaces it; the other way
    round, a login that nobody knows of would live on.

    Args:
        state_dir: where it is stored.
        ours: to be stored in its place.
    """
    earlier = stored_login(TOKEN_NAME, state_dir)
    if earlier is None or earlier.is_for(*ours.servers):
        return
    where = earlier.servers[0]
    try:
        async with asyncio.timeout(LOGOUT_MOST_S):
            await logout({}, earlier)
    except (SetupError, TimeoutError) as error:
        why = str(error).removeprefix("cannot log out: ").partition("; ")[0] or "no answer in time"
        device = f" its device {earlier.device_id}" if earlier.device_id else ""
        output.note(
            f"cannot end the login for {where}, which another replaces now: {why}; if nobody needs"
            f" it, sign out{device} there"
        )
    else:
        output.note(f"ended the login for {where} that was stored so far")
