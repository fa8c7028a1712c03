"""The last step of `fleetchat init`: what is known is shown, agreed to, and written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fleetchatd.client import output
from fleetchatd.client.errors import ClientError, ReaderGoneError
from fleetchatd.errors import FleetchatError
from fleetchatd.setup import prompts
from fleetchatd.setup.afterwards import note_what_lives_on, note_what_outranks
from fleetchatd.setup.context import refuse_unwritable, stored_login
from fleetchatd.setup.draft import Draft
from fleetchatd.setup.editing.change import Change, plan
from fleetchatd.setup.editing.change import write as write_file


def change_of(draft: Draft) -> Change:
    """What is to be changed in the roster.

    Raises:
        RosterError: the roster cannot be used, or could not with this connector.
        ConfigError: the file cannot be read, or its text not be edited.
    """
    return plan(draft.present.path, draft.kind, draft.changes())


async def write(draft: Draft, *, yes: bool, dry_run: bool) -> bool:
    """Show what changes, and once a person agrees make the room, and write.

    What was made and is not written yet would be lost by a failure, so each step is the last that
    can fail for its reason: first the login is stored, then the room is made, then the roster
    names it.

    Args:
        draft: is complete.
        yes: a person has agreed already.
        dry_run: only show what would be written.

    Returns:
        Whether anything was written.

    Raises:
        StoppedError: the person does not agree.
        ClientError: it cannot be written.
    """
    _refuse_room_without_login(draft)
    change = None if draft.invite is not None else change_of(draft)
    if change is not None:
        _show(change)
    if dry_run:
        return False
    if change is None or change.needed:
        refuse_unwritable(draft.present.path)  # before a room is made that no roster would name
        if not yes:
            await _confirm(draft)
    stored = await _store_login(draft)
    if change is None:
        return await _write_with_room(draft)
    _say(_written(change, write_file(change)))
    return change.needed or stored


async def _store_login(draft: Draft) -> bool:
    """Store what a person has logged in with, if they have; whether they have."""
    state_dir = draft.context.state_dir
    earlier = stored_login(draft.secret_names[0], state_dir) if draft.secret_names else None
    login = await draft.store_login()
    if login is None:
        return False
    _say(output.line(f"stored the login of {login.who} under {state_dir}") + "\n")
    note_what_outranks(draft.secret_names[0], state_dir, login.secret)
    note_what_lives_on(earlier, login.secret)
    return True


def _refuse_room_without_login(draft: Draft) -> None:
    secret = draft.secret_finding()
    if draft.invite is not None and secret is not None:
        raise ClientError(f"cannot make a room: {secret.what}; {secret.remedy}")


async def _confirm(draft: Draft) -> None:
    room = "" if draft.invite is None else f"Make a room, invite {', '.join(draft.invite)}, and "
    question = f"{room}write {'it' if room else 'this'} into {draft.present.path}?"
    if not await prompts.confirm(output.line(question[0].upper() + question[1:])):
        raise prompts.StoppedError


async def _write_with_room(draft: Draft) -> bool:
    made = await draft.make_room()
    room = output.line(", ".join(f"{name} {value}" for name, value in made.items()))
    # Not a word in between, which may fail: the room is lost until the roster names it.
    try:
        change = change_of(draft)
        backup = write_file(change)
    except FleetchatError as error:
        raise ClientError(f"{error}\nthe room is there already: {room}") from error
    invited = output.line(", ".join(draft.invite or ()))
    _say(f"made a room: {room}; {invited} must accept the invitation\n")
    _show(change)
    _say(_written(change, backup))
    return True


def _show(change: Change) -> None:
    """The diff; for a program as `patch` takes it, for a terminal without what could drive it."""
    diff = change.diff()
    if output.on_terminal():
        _say(output.text(diff))
    else:
        _say(diff, "utf-8")  # as every roster is, whatever the locale


def _written(change: Change, backup: Path | None) -> str:
    if not change.needed:
        return f"nothing to do: {output.line(change.path)} says it already\n"
    old = "" if backup is None else f"; what was there before is in {backup}"
    return output.line(f"wrote {change.path}{old}") + "\n"


def _say(words: str, encoding: str | None = None) -> None:
    """Say something; that nobody listens any more (`| head`) is no reason to stop halfway."""
    with suppress(ReaderGoneError):
        output.write(words, encoding)
