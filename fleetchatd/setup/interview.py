"""Asking a person for what is missing, and looking after each answer whether it works."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fleetchatd.client import output
from fleetchatd.connectors.guide import Finding, LogsIn, Way
from fleetchatd.errors import SetupError
from fleetchatd.setup import answers, credentials, flags, prompts
from fleetchatd.setup.draft import Draft
from fleetchatd.setup.look import Look


class Interview:
    """Asks until everything is known and works.

    Args:
        draft: is completed.
        look: None where nothing is to be verified.
    """

    def __init__(self, draft: Draft, look: Look | None) -> None:
        self._draft = draft
        self._look = look
        self._no_login = False

    async def run(self) -> None:
        """Ask; what the roster or a flag has said already is asked for only if it is wrong.

        Raises:
            StoppedError: the person stops.
        """
        while True:
            errors = await self._look.errors() if self._look is not None else []
            wrong = [error for error in errors if not self._is_for_later(error)]
            if wrong:
                await self._mend(wrong[0])
            elif not await self._ask_next():
                return

    async def _ask_next(self) -> bool:
        """Ask the next question; False if there is none."""
        draft = self._draft
        name = next(iter(draft.missing()), "")  # those that a login needs come first
        if name not in draft.login_settings and self._should_log_in():
            await self._log_in()
        elif name in draft.room_settings and draft.secret_finding() is None:
            await self._ask_for_room(name)
        elif name:
            await self._ask(name)
        else:
            return False
        return True

    def _should_log_in(self) -> bool:
        has_accounts = isinstance(self._draft.guide, LogsIn)
        return has_accounts and not self._no_login and self._draft.secret_finding() is not None

    def _is_for_later(self, error: Finding) -> bool:
        return self._no_login and error.about in self._draft.secret_names

    async def _mend(self, error: Finding) -> None:
        """Ask again for what a finding is about."""
        draft = self._draft
        if error.about in draft.secret_names and isinstance(draft.guide, LogsIn):
            await self._log_in()
        elif error.about in flags.properties(draft.schema):
            earlier = draft.settings.get(error.about)
            await self._ask_again(error.about)
            if draft.settings.get(error.about) == earlier:
                await self._wait_for_hand()
        else:
            await self._wait_for_hand()

    async def _ask_again(self, name: str) -> None:
        """Ask for what was wrong; some rooms, as an encrypted one, are never right again."""
        if name in self._draft.room_settings and self._draft.secret_finding() is None:
            await self._ask_for_room(name)
        else:
            await self._ask(name)

    async def _wait_for_hand(self) -> None:
        """Let a person mend what no answer can."""
        steps = {"Look again": self._look_again, "Stop; write nothing": self._stop}
        if isinstance(self._draft.guide, LogsIn):
            steps["Log in as another"] = self._log_in
        await (await prompts.choose("Mend that elsewhere, and then?", steps))()

    async def _look_again(self) -> None:
        """That is what comes next anyway."""

    async def _stop(self) -> None:
        raise prompts.StoppedError

    # -- settings ------------------------------------------------------------------------------

    async def _ask(self, name: str) -> None:
        """Ask for a setting; Enter keeps what is there."""
        draft = self._draft
        wrong = draft.wrong().get(name)
        if wrong is not None:
            prompts.say(f"\nconnector.{draft.kind}.{name} in the roster {wrong.what}")
        earlier = draft.settings.get(name)
        answer = await ask_setting(draft.kind, draft.schema, name, earlier)
        if name in draft.login_settings and answer != earlier:
            await draft.forget()  # a login that was made here is that of another account
        draft.settings[name] = answer

    async def _ask_for_room(self, name: str) -> None:
        choices = {
            "I have one, and know its id": False,
            "Make a private one now, without encryption, and invite me": True,
        }
        if not await prompts.choose("Which room?", choices):
            await self._ask(name)
        else:
            self._draft.have_room_made(await self.ask_whom_to_invite())

    async def ask_whom_to_invite(self) -> list[str]:
        """The ids of people, at least one."""
        while True:
            typed = await prompts.ask("Whom to invite? (ids, with blanks between them):")
            people, problem = people_in(self._draft.kind, self._draft.schema, words_in(typed))
            if people and problem is None:
                return people
            prompts.say(f"  {problem or 'somebody must be invited, or nobody could speak there'}")

    # -- login ---------------------------------------------------------------------------------

    async def _log_in(self) -> None:
        draft = self._draft
        assert isinstance(draft.guide, LogsIn)
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            credentials.WAYS[way]: partial(self._log_in_by, way) for way in draft.guide.ways
        }
        # No server says whether it is the account or the password that it does not know.
        for name in draft.login_settings:
            again = output.line(f"first change {name} (now {draft.settings.get(name)})")
            steps[again] = partial(self._ask, name)
        steps[f"later, with `fleetchat login {draft.kind}`"] = self._log_in_later
        prompts.say("")
        await (await prompts.choose("Log in to the bot's account", steps))()

    async def _log_in_later(self) -> None:
        self._no_login = True

    async def _log_in_by(self, way: Way) -> None:
        credential = await credentials.ask(way)
        if credential is None:
            return
        try:
            login = await self._draft.log_in(credential)
        except SetupError as error:
            prompts.say(f"  {error}")
        else:
            prompts.say(f"  logged in as {login.who}")


async def ask_setting(kind: str, schema: flags.Schema, name: str, earlier: Any = None) -> Any:
    """Ask for a setting until the answer fits its schema.

    Args:
        kind: whose setting it is.
        schema: the kind's.
        name: the setting's.
        earlier: what just Enter keeps; None if there is no such value.
    """
    setting = flags.properties(schema)[name]
    prompts.say(f"\n{setting.get('description') or setting.get('title') or name}")
    kept = "" if earlier is None else f" (Enter keeps {output.line(shown(earlier))})"
    while True:
        typed = await prompts.ask(f"{name}{kept}:")
        if not typed and earlier is not None:
            return earlier
        answer, problem = understood(kind, name, typed, setting)
        if problem is None:
            return answer
        prompts.say(f"  {name}: {problem}")


def words_in(typed: str) -> list[str]:
    """Several values on one line: blanks separate them, commas too; quotes hold them together."""
    words = shlex.shlex(typed, posix=True, punctuation_chars=False)
    words.whitespace += ","
    words.whitespace_split, words.commenters = True, ""
    try:
        return [word for word in words if word]
    except ValueError:  # a quote that has no end
        return typed.replace(",", " ").split()


def understood(kind: str, name: str, typed: str, schema: flags.Schema) -> tuple[Any, str | None]:
    """What was typed as a value of the setting, and what is wrong with it.

    People quote ids as they would in a roster; the quotes are none of the value.
    """
    words = words_in(typed) if flags.is_list(schema) else [unquoted(typed)]
    if not any(words):
        return None, f"nothing was typed (give {schema.get('title', 'a value')})"
    value = flags.value(schema, words)
    return value, answers.problems(kind, {name: value}).get(name)


def people_in(kind: str, schema: flags.Schema, words: list[str]) -> tuple[list[str], str | None]:
    """Ids of people, and what is wrong with them, where the kind says what they look like."""
    if not words or "allowed_senders" not in flags.properties(schema):
        return words, None
    return words, answers.problems(kind, {"allowed_senders": words}).get("allowed_senders")


def unquoted(typed: str) -> str:
    """Without the quotes around it."""
    quoted = len(typed) > 2 and typed[0] == typed[-1] and typed[0] in "'\""
    return typed[1:-1] if quoted else typed


def shown(value: object) -> str:
    """A setting as a person would type it."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
