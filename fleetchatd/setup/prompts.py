"""Questions to a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from fleetchatd.client import output
from fleetchatd.client.errors import ClientError
from fleetchatd.logs import without_secrets

if TYPE_CHECKING:
    import questionary

T = TypeVar("T")


class StoppedError(ClientError):
    """The person wants no more of it (Ctrl-D, or a no)."""

    def __init__(self) -> None:
        super().__init__("stopped; nothing was written")


class InterruptedByHandError(StoppedError):
    """Ctrl-C: the exit code that shells give it."""

    exit_code = 130


def possible() -> bool:
    """Whether a person can be asked: they see what we write, and can type."""
    return sys.stdin is not None and sys.stdin.isatty() and output.on_terminal()


async def ask(question: str, default: str = "") -> str:
    """A line of text, without blanks around it.

    Raises:
        StoppedError: the person stops.
    """
    import questionary

    return str(await _answer(questionary.text(question, default=default))).strip()


async def ask_hidden(question: str) -> str:
    """A line of text that is not shown; as it was typed. Raises as `ask` does."""
    import questionary

    return str(await _answer(questionary.password(question)))


async def choose(question: str, choices: Mapping[str, T]) -> T:
    """One of several things, by what people call them. Raises as `ask` does."""
    import questionary

    picked = await _answer(questionary.select(question, choices=list(choices)))
    return choices[picked]


async def confirm(question: str) -> bool:
    """Yes or no; Enter is yes. Raises as `ask` does."""
    import questionary

    return bool(await _answer(questionary.confirm(question)))


def say(words: str) -> None:
    """Say something between two questions."""
    output.write(output.text(without_secrets(words)) + "\n")


async def _answer(question: questionary.Question) -> Any:
    _mend_keys(question)
    try:
        return await question.unsafe_ask_async()
    except KeyboardInterrupt:
        raise InterruptedByHandError from None
    except EOFError:
        raise StoppedError from None


def _mend_keys(question: questionary.Question) -> None:
    """Have Ctrl-D stop at a list of choices too, and take nothing that is pasted for a mouse.

    The libraries' own handler of a mouse fails, with a traceback, on the codes for colours.
    """
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
    from prompt_toolkit.keys import Keys

    keys, app = KeyBindings(), question.application

    @keys.add(Keys.Vt100MouseEvent, eager=True)
    def ignore(_: KeyPressEvent) -> None:
        """We use no mouse."""

    # Within a text it is an editor's key.
    @keys.add(Keys.ControlD, filter=Condition(lambda: not app.current_buffer.text))
    def stop(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    app.key_bindings = merge_key_bindings([*filter(None, [app.key_bindings]), keys])
