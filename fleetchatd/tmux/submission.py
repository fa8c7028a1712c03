"""Submitting a text to a program in a pane: paste it, press Enter, and see that it was accepted.

    ready?    the guard has no objection, and nobody reads back in the pane (copy mode)
    paste     as a bracketed paste, if the program asked for such
    settle    until the pane has been silent: an Enter right after a paste is swallowed by many
    Enter     as a pasted CR: a key would go to every synchronised pane, or to copy mode
    look      was it accepted? If not, Enter again, some times, after longer pauses

Between the look and the typing tmux itself checks once more, in the same command list, that it is
still the same command. What cannot be told from here: whether a screen that changed did so because
the text was accepted, where the program shows its input anywhere but at the cursor.
"""

from __future__ import annotations

import asyncio

from fleetchatd.tmux import guard, terminal
from fleetchatd.tmux.address import clean
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.errors import GoneError, TmuxError
from fleetchatd.tmux.panes import ALIVE, FORMAT, Pane, parse
from fleetchatd.tmux.protocol import Notice, quoted
from fleetchatd.tmux.screen import Screen, is_accepted, stands

READY_S = 5.0
"""How long to wait for a pane that is in copy mode, or busy with something that passes."""

SETTLE_S = (0.12, 0.25, 0.5, 1.0, 2.0)
"""How long a pane must be silent before each Enter."""

RESTLESS_S = 2.0
"""How long to wait for that silence: a pane with a clock in it is never silent."""

UNREAD_S = 1.0
"""How long a program may leave in the terminal what was typed."""

_LOOK_AGAIN_S = 0.1
_BUFFER = "fleetchat-submission"
_NO_MODE = "#{==:#{pane_in_mode},0}"


class NotSubmittedError(Exception):
    """Base of the outcomes below; its text is half a sentence for a person."""


class Refused(NotSubmittedError):  # noqa: N818 - reads as the outcome that it is
    """Nothing was typed, and it is of no use to try again: a person must change something."""


class NotNow(NotSubmittedError):  # noqa: N818
    """Nothing was typed, or it was taken back before anybody read it; later it may work."""


class Unread(NotNow):
    """The program did not read what was typed; all of it was taken back."""


class Unverified(NotSubmittedError):  # noqa: N818
    """It was typed, and perhaps accepted.

    Attributes:
        draft: the line at the cursor if the text seems to stand there still, else None. Handing it
            to the next `submit` of the same text keeps that from pasting it a second time.
    """

    def __init__(self, reason: str, draft: str | None = None) -> None:
        super().__init__(reason)
        self.draft = draft


class Activity:
    """When panes last wrote something; to be told of all notices of the control connection."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def heard(self, notice: Notice) -> None:
        """Take note of what the server told."""
        if notice.name in ("output", "extended-output"):
            self._last[notice.rest.partition(" ")[0]] = asyncio.get_running_loop().time()

    async def silence(self, pane_id: str, length_s: float, at_most_s: float = RESTLESS_S) -> None:
        """Wait until a pane has been silent, from now on, for so long."""
        now = asyncio.get_running_loop().time
        begun = now()
        while True:
            silent_at = max(self._last.get(pane_id, begun), begun) + length_s
            end = min(silent_at, begun + max(at_most_s, length_s))
            if now() >= end:
                return
            await asyncio.sleep(end - now())


async def submit(
    client: ControlClient, activity: Activity, pane_id: str, text: str, *, draft: str | None = None
) -> None:
    """Submit `text` to the program in a pane; returns once that is verified.

    Control characters are left out, and so are line ends at its end.

    Args:
        client: attached to the pane's session.
        activity: is told of the client's notices.
        pane_id: tmux's `%N`.
        text: one line or several.
        draft: `Unverified.draft` of an earlier attempt at the same text.

    Raises:
        Refused: nothing was typed, for good.
        NotNow: nothing was typed; try later.
        Unread: it was typed and taken back; try later.
        Unverified: typed, but not known to be accepted.
        TmuxError: tmux refused or went away; nothing was typed.
    """
    await _Submission(client, activity, pane_id, clean(text).rstrip("\n")).run(draft)


class _Submission:
    def __init__(self, client: ControlClient, activity: Activity, pane_id: str, text: str) -> None:
        self._client = client
        self._activity = activity
        self._pane_id = pane_id
        self._text = text

    async def run(self, draft: str | None) -> None:
        before = await self._ready()
        line_buffered = terminal.is_line_buffered(before.pane.tty)
        self._check_length(line_buffered)
        standing = stands(before, self._text, anew=draft is not None) or (
            bool(draft) and before.line == draft
        )
        if standing and line_buffered:
            terminal.discard(before.pane.tty)  # the terminal's own, which no program has seen yet
        if not standing or line_buffered:
            await self._paste(before.pane)
        try:
            await self._enter(None if standing else before.line)
        except TmuxError as error:
            raise Unverified(f"it was pasted, and then {error}") from None

    def _check_length(self, line_buffered: bool | None) -> None:
        longest = max(len(line.encode()) for line in self._text.split("\n"))
        if line_buffered is not False and longest > terminal.LONGEST_LINE_BYTES:
            raise Refused(
                f"a line of {longest} bytes, address included, is cut off by its line-buffered"
                f" terminal, which takes {terminal.LONGEST_LINE_BYTES}"
            )

    # -- before anything is typed --------------------------------------------------------------

    async def _ready(self) -> Screen:
        """What the pane shows once it may be typed into."""
        deadline = asyncio.get_running_loop().time() + READY_S
        while reason := await self._hindrance():
            if asyncio.get_running_loop().time() > deadline:
                raise NotNow(reason)
            await asyncio.sleep(_LOOK_AGAIN_S)
        return await self._look()

    async def _hindrance(self) -> str | None:
        lines = await self._client.run(f"display-message -p -t {self._pane_id} {quoted(FORMAT)}")
        pane = parse(lines[0]) if lines else None
        if pane is None:
            raise NotNow(f"there is no pane {self._pane_id} any more")
        objection = guard.objection(pane)
        if objection is None:
            return "somebody reads back in it (copy mode)" if pane.in_mode else None
        if not objection.passing:
            raise Refused(objection.reason)
        return objection.reason

    async def _paste(self, pane: Pane) -> None:
        try:
            pasted = await self._give(self._text, "-p", f"{_same_command(pane)},{_NO_MODE}")
        except GoneError as error:
            raise Unverified(f"it may have been pasted: {error}") from None
        if not pasted:
            raise NotNow("what runs in it has just changed")

    # -- once it is pasted ---------------------------------------------------------------------

    async def _enter(self, before: str | None) -> None:
        """Press Enter until the text is accepted.

        Args:
            before: the line at the cursor before the text was pasted; None if not known.
        """
        drafted = None
        for settle_s in SETTLE_S:
            await self._activity.silence(self._pane_id, settle_s)
            drafted = await self._look()
            await self._must_be_read(drafted.pane, self._text)
            self._check_again(drafted)
            line_buffered = terminal.is_line_buffered(drafted.pane.tty)
            if not await self._give("\r", "-r", f"{_same_command(drafted.pane)},1"):
                continue
            await self._activity.silence(self._pane_id, SETTLE_S[0])
            await self._must_be_read(drafted.pane, f"{self._text}\n")
            if line_buffered and terminal.is_line_buffered(drafted.pane.tty):
                return  # it has read the line: there is nothing to accept in between
            if is_accepted(before, drafted, await self._look(), self._text):
                return
        assert drafted is not None
        standing = drafted.line if drafted.line != before else None
        raise Unverified("the program did not accept it: Enter has no effect", standing)

    async def _must_be_read(self, pane: Pane, typed: str) -> None:
        """Take back what the program leaves in the terminal: a shell might find it there later."""
        deadline = asyncio.get_running_loop().time() + UNREAD_S
        while unread := terminal.unread(pane.tty):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_LOOK_AGAIN_S / 5)
        else:
            return
        if terminal.is_line_buffered(pane.tty):
            typed = typed[: typed.rfind("\n") + 1]  # of a line's beginning it says nothing
        while terminal.unread(pane.tty):
            terminal.discard(pane.tty)
            await asyncio.sleep(_LOOK_AGAIN_S / 5)  # what did not fit before comes now
        if unread >= len(typed.encode()):
            raise Unread("the program does not read what is typed; it was taken back")
        raise Unverified("the program stopped reading; what was left was taken back")

    def _check_again(self, screen: Screen) -> None:
        objection = guard.objection(screen.pane)
        if objection is not None:
            raise Unverified(
                f"after it was pasted, {objection.reason}: no Enter was sent, and the text may"
                " stand there; clear it"
            )

    # -- tmux ----------------------------------------------------------------------------------

    async def _look(self) -> Screen:
        pane, *rows = await self._client.run(
            f"display-message -p -t {self._pane_id} {quoted(FORMAT)} ;"
            f" capture-pane -p -t {self._pane_id}"
        )
        parsed = parse(pane)
        if parsed is None:
            raise TmuxError(f"there is no pane {self._pane_id} any more")
        return Screen(parsed, tuple(rows))

    async def _give(self, text: str, flag: str, conditions: str) -> bool:
        """Paste `text` if the conditions, two formats, hold; returns whether they did."""
        answer = await self._client.run(
            f"set-buffer -b {_BUFFER} {quoted(text)} ;"
            f" if-shell -F -t {self._pane_id} {quoted(f'#{{&&:{conditions}}}')}"
            f" {{ paste-buffer {flag} -d -b {_BUFFER} -t {self._pane_id} ;"
            " display-message -p done }"
            f" {{ delete-buffer -b {_BUFFER} }}"
        )
        return answer == ["done"]


def _same_command(pane: Pane) -> str:
    """A format that holds while the same command runs in the same pane."""
    command = "".join(f"#{sign}" if sign in "#,}" else sign for sign in pane.command)
    same = f"#{{==:#{{pane_current_command}},{command}}}"
    return f"#{{&&:{ALIVE},#{{&&:{same},#{{==:#{{pane_id}},{pane.id}}}}}}}"
