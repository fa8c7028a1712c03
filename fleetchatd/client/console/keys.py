"""Which key does what; all others do what they do in Emacs."""

from __future__ import annotations

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from fleetchatd.client.console.conversation import Conversation


def bindings(conversation: Conversation, draft: Buffer) -> KeyBindings:
    """The console's own keys."""
    keys = KeyBindings()
    typing = has_focus(draft)  # and not what Ctrl-R looks for
    empty = Condition(lambda: not draft.text)

    @keys.add("enter", filter=typing)
    @keys.add("c-j", filter=typing)
    def enter(event: KeyPressEvent) -> None:
        conversation.enter()

    @keys.add("escape", "enter", filter=typing)
    @keys.add("escape", "c-j", filter=typing)
    def new_line(event: KeyPressEvent) -> None:
        draft.newline(copy_margin=False)

    @keys.add("tab", filter=typing)
    def tab(event: KeyPressEvent) -> None:
        draft.insert_text("\t")

    @keys.add("c-c", filter=typing)
    @keys.add("<sigint>", filter=typing)
    def interrupt(event: KeyPressEvent) -> None:
        conversation.interrupt()

    @keys.add("c-d", filter=typing & empty)
    def end(event: KeyPressEvent) -> None:
        conversation.end()

    @keys.add("c-z")
    def nothing(event: KeyPressEvent) -> None:
        """Nobody could wake it up again."""

    @keys.add(Keys.BracketedPaste, eager=True)
    def paste(event: KeyPressEvent) -> None:
        conversation.paste(event.data, event.current_buffer)

    return keys
