"""The tmux pane that the console runs in, and the badge by which the daemon knows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from fleetchatd.client.errors import ClientError, UsageError
from fleetchatd.tmux import badge
from fleetchatd.tmux.errors import TmuxError
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.spool import STATE_DIR_OPTION

_ELSEWHERE = "cannot run the console here: {}; start it in a tmux pane (tmux new fleetchat console)"


class OwnPane:
    """The pane whose terminal is ours."""

    def __init__(self, server: Server, pane_id: str) -> None:
        self._server = server
        self._id = pane_id

    async def check(self) -> None:
        """See that it is our terminal, and not one that was left behind in the environment.

        Raises:
            UsageError: we are somewhere else.
            ClientError: tmux does not say.
        """
        try:
            said = await self._server.run("display-message", "-p", "-t", self._id, "#{pane_tty}")
        except TmuxError as error:
            raise ClientError(f"cannot find the console's pane: {error}") from None
        if said.strip() != os.ttyname(sys.stdin.fileno()):
            raise UsageError(_ELSEWHERE.format("this terminal is not the pane's own"))

    async def state_dir(self) -> str | None:
        """The state directory of the daemon whose session this is, if it has said so.

        Raises:
            ClientError: tmux does not say.
        """
        option = f"#{{{STATE_DIR_OPTION}}}"
        try:
            said = await self._server.run("display-message", "-p", "-t", self._id, option)
        except TmuxError as error:
            raise ClientError(f"cannot ask the console's session: {error}") from None
        return said.removesuffix("\n") or None

    async def put_on(self) -> None:
        """Show the daemon that the console runs here and is ready for what it says.

        Raises:
            ClientError: tmux refuses.
        """
        try:
            await self._set(badge.OPTION, badge.Badge.own().value())
        except TmuxError as error:
            raise ClientError(f"cannot mark the console's pane: {error}") from None

    async def take_off(self) -> None:
        """Show that the console was left; what is meant for it waits for the next one here."""
        with suppress(TmuxError):  # the pane may be gone, and all is well
            await self._set(badge.OPTION, badge.LEFT)

    async def _set(self, *words: str) -> None:
        await self._server.run("set-option", "-p", "-t", self._id, *words)


def own(environment: Mapping[str, str]) -> OwnPane:
    """The pane that tmux has told us of.

    Raises:
        UsageError: there is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(_ELSEWHERE.format("it needs a terminal"))
    # tmux(1), ENVIRONMENT: the socket, the server's process and the session, with commas between.
    socket = environment.get("TMUX", "").rsplit(",", 2)[0]
    pane_id = environment.get("TMUX_PANE", "")
    if not socket or not pane_id:
        raise UsageError(_ELSEWHERE.format("this terminal is not in tmux"))
    return OwnPane(Server(socket), pane_id)
