"""The console from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.input import create_input
from prompt_toolkit.output import ColorDepth

from fleetchatd import places
from fleetchatd.client.console import daemon, keys, look, pane, prompt
from fleetchatd.client.console.conversation import Conversation
from fleetchatd.client.console.pane import OwnPane
from fleetchatd.client.console.paper import Page, Paper
from fleetchatd.client.errors import ClientError, UsageError
from fleetchatd.errors import ConfigError
from fleetchatd.tmux import terminal
from fleetchatd.tmux.spool import Spool, SpoolError

REFILL_S = 0.05
"""How soon tmux hands on what a full terminal has not taken, in seconds."""


def run(state_dir: str | None) -> int:
    """Run the console in the pane we are in, until the operator or a signal ends it.

    Raises:
        UsageError: we are in no pane, or there is no state directory.
        ClientError: the state directory or tmux refuses.
    """
    own_pane = pane.own(os.environ)
    try:
        asyncio.run(_converse(state_dir, own_pane))
    except SpoolError as error:
        raise ClientError(str(error)) from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return 0


def _spool(state_dir: str | None) -> Spool:
    try:
        place = Path(places.state_dir(state_dir))
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool = Spool(place)
        spool.make()
    except ConfigError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise ClientError(
            f"cannot make {place}: {error.strerror}; name another folder with --state-dir"
        ) from None
    except SpoolError as error:
        raise ClientError(f"{error}; name another folder with --state-dir") from None
    return spool


async def _leave_behind(tty: str) -> None:
    """Drop what a console before us has left unread: the rest of a paste would become a draft."""
    while terminal.unread(tty):
        terminal.discard(tty)
        await asyncio.sleep(REFILL_S)
    terminal.discard(tty)  # the beginning of a line does not count as unread


async def _converse(state_dir: str | None, own_pane: OwnPane) -> None:
    await own_pane.check()
    spool = _spool(state_dir or await own_pane.state_dir())
    spool.forget_old_acks()
    leaving = asyncio.Event()
    page, conversation = _furnished(spool, leaving.set)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, leaving.set)
    await _leave_behind(os.ttyname(sys.stdin.fileno()))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_show(page, leaving))
        await asyncio.sleep(0)  # the terminal is raw now, and the prompt is drawn
        await own_pane.put_on()
        following = tasks.create_task(daemon.follow(spool.folder, conversation))
        await leaving.wait()
        following.cancel()
        await own_pane.take_off()  # before the terminal is cooked again
        if page.is_running and not page.is_done:
            page.exit()
    with suppress(termios.error):  # what was pasted too late is not for the shell after us
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _furnished(spool: Spool, leave: Callable[[], None]) -> tuple[Page, Conversation]:
    """The page and what happens on it."""
    wanted = look.wanted(os.environ)
    page = Page(
        style=prompt.style(wanted),
        include_default_pygments_style=False,
        color_depth=ColorDepth.DEPTH_4_BIT if wanted.colour else ColorDepth.DEPTH_1_BIT,
        erase_when_done=True,
        terminal_size_polling_interval=None,
        input=create_input(sys.stdin),
        output=Paper(sys.stdout),
    )
    draft = Buffer(multiline=True, history=prompt.History(spool.folder / "history"))
    conversation = Conversation(spool, draft, page, wanted, leave)
    page.layout = prompt.layout(draft, lambda: conversation.thread, conversation.state)
    page.key_bindings = keys.bindings(conversation, draft)
    return page, conversation


async def _show(page: Page, leaving: asyncio.Event) -> None:
    """Show the page until it ends, or its terminal does."""
    failures: list[Exception] = []

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            failures.append(error)
            leaving.set()

    asyncio.get_running_loop().set_exception_handler(failed)
    try:
        with suppress(EOFError, OSError):  # the pane was closed
            await page.run_async(set_exception_handler=False)
    finally:
        leaving.set()
    for error in failures:
        if not isinstance(error, OSError):
            raise error
