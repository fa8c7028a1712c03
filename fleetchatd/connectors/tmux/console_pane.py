"""From the daemon to the console: one bracketed paste, confirmed by the message's id.

The paste never holds an Enter, and its line breaks travel as U+001E: should the console end while
it is on its way, the shell behind it gets a line that it does not execute.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from fleetchatd.tmux import badge
from fleetchatd.tmux.address import Address, clean
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.errors import TmuxError
from fleetchatd.tmux.panes import ALIVE, Pane
from fleetchatd.tmux.protocol import quoted
from fleetchatd.tmux.spool import Spool

LINE_BREAK = "\x1e"

PASTE_AGAIN_S = 30.0
"""How soon a paste that was not confirmed is repeated into the same console, in seconds."""

_PLAIN_NAME = re.compile(r"[\w.-]+")


class NotConfirmed(Exception):  # noqa: N818 - reads as the outcome that it is
    """The message was pasted, and perhaps shown."""


class NotThere(Exception):  # noqa: N818
    """There is no such console any more; nothing was pasted."""


class Confirmations:
    """The messages that consoles have still to confirm."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def check(self) -> None:
        """See which were confirmed meanwhile."""
        for message_id, waiting in list(self._waiting.items()):
            if not waiting.done() and self._spool.acknowledged(message_id):
                waiting.set_result(None)

    def give_up(self, reason: str) -> None:
        """Nobody will confirm any more."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NotConfirmed(reason))

    async def wait(self, message_id: str, timeout_s: float) -> None:
        """Wait for one.

        Raises:
            NotConfirmed: it did not come.
        """
        waiting = self._waiting[message_id] = asyncio.get_running_loop().create_future()
        try:
            self.check()
            async with asyncio.timeout(timeout_s):
                await waiting
        except TimeoutError:
            raise NotConfirmed(f"the console did not confirm it in {timeout_s:g} s") from None
        finally:
            del self._waiting[message_id]


class Paster:
    """Pastes each message once into a console, unless that stays silent for long."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pasted: dict[str, tuple[str, float]] = {}

    async def paste(self, client: ControlClient, pane: Pane, address: Address, text: str) -> None:
        """Paste a message into the console that runs in `pane`.

        Raises:
            NotThere: it does not run there any more.
            TmuxError: tmux did not do it, or did not say.
        """
        assert address.id is not None
        assert pane.console is not None
        value = pane.console.value()
        last = self._pasted.get(address.id)
        if last is not None and last[0] == value and self._clock() - last[1] < PASTE_AGAIN_S:
            return
        # Without -S, tmux 3.7 and later show the brackets as text instead of handing them on.
        raw = "-r -S" if "S" in await client.flags_of("paste-buffer") else "-r"
        self._pasted[address.id] = (value, self._clock())
        words = address.line(clean(text)).replace("\n", LINE_BREAK)
        buffer, paste = f"fleetchat-{address.id}", quoted(f"\x1b[200~{words}\x1b[201~")
        try:
            answer = await client.run(
                f"set-buffer -b {buffer} {paste} ; "
                f"if-shell -F -t {pane.id} {quoted(_still(pane, value))} "
                f"'paste-buffer -d {raw} -b {buffer} -t {pane.id}' "
                f"'delete-buffer -b {buffer} ; display-message -p gone'"
            )
        except TmuxError:
            self.forget(address.id)  # if it was pasted nevertheless, the console knows it by its id
            raise
        if "gone" in answer:
            self.forget(address.id)
            raise NotThere

    def forget(self, message_id: str) -> None:
        """It was confirmed, or is not known to be pasted."""
        self._pasted.pop(message_id, None)


def _still(pane: Pane, value: str) -> str:
    """A condition of tmux's own (tmux(1), FORMATS): it is the console that will get the paste."""
    condition = f"#{{&&:{ALIVE},#{{==:#{{{badge.OPTION}}},{value}}}}}"
    if _PLAIN_NAME.fullmatch(pane.command):
        condition = f"#{{&&:{condition},#{{==:#{{pane_current_command}},{pane.command}}}}}"
    return condition
