"""`fleetchat login` and `logout`: the daemon's login to a chat (contract §8).

What proves whose account it is comes over standard input or is typed unseen: an argument would be
seen by others in the list of processes, and kept by the shell.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fleetchatd.client import output
from fleetchatd.client.errors import UsageError
from fleetchatd.connectors import registry
from fleetchatd.errors import FleetchatError, SecretError, SetupError
from fleetchatd.setup import flags

if TYPE_CHECKING:
    from fleetchatd.connectors.guide import Credential, Login, Way
    from fleetchatd.setup.account import Account

LOGIN_EXAMPLES = """\
examples:
  fleetchat login                                               (asks, and shows nothing)
  fleetchat login matrix --password-stdin < password-file
  fleetchat login matrix --token-stdin --homeserver-url https://matrix.example.org \\
      --user-id @mos:example.org < token-file

What is not given is taken from the roster. A password is never kept, a token never shown.
"""
LOGOUT_EXAMPLES = """\
examples:
  fleetchat logout matrix
  fleetchat logout matrix --forget            (the homeserver is gone for good)
"""


def login_arguments(parser: ArgumentParser) -> None:
    """Declare what `login` takes."""
    parser.epilog = LOGIN_EXAMPLES
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--password-stdin", action="store_true", help="the password is on standard input"
    )
    given.add_argument(
        "--token-stdin", action="store_true", help="an access token is on standard input"
    )
    _add_shared(parser)


def logout_arguments(parser: ArgumentParser) -> None:
    """Declare what `logout` takes."""
    parser.epilog = LOGOUT_EXAMPLES
    parser.add_argument(
        "--forget", action="store_true", help="remove it here only, and tell no server"
    )
    _add_shared(parser)


def login(args: Namespace) -> int:
    """Log in, and store the login where the daemon finds it."""
    from fleetchatd.setup.context import run

    run(_login(args))
    return 0


def logout(args: Namespace) -> int:
    """End the stored login, at the server and here."""
    from fleetchatd.setup.context import run

    run(_logout(args))
    return 0


def _add_shared(parser: ArgumentParser) -> None:
    kinds = [kind for kind in registry.kinds() if _has_secret(kind)]
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        choices=kinds,
        help=f"{', '.join(kinds)}; by default the one that the roster names",
    )
    parser.add_argument("--roster", metavar="FILE", help="the roster that has the settings")
    parser.add_argument("--state-dir", metavar="DIR", help="the daemon's, where logins are stored")
    flags.add_flags(parser, kinds, leave_out_lists=True)


def _has_secret(kind: str) -> bool:
    try:
        return bool(registry.secret_names(kind))
    except FleetchatError:  # a plug-in that cannot be loaded
        return False


# -- login -----------------------------------------------------------------------------------------


async def _login(args: Namespace) -> None:
    from fleetchatd.setup import account
    from fleetchatd.setup.afterwards import note_what_lives_on, note_what_outranks
    from fleetchatd.setup.state import reload_command

    mine = account.of(args)
    way = _way(args, mine)
    _demand(mine, [] if way is not None else [_flags_of(mine.guide.ways)])
    mine.refuse_unwritable()
    await account.complete(mine)
    _warn_of_the_way(mine)
    earlier = mine.stored()
    made = await mine.log_in(await _credential(mine, way))
    _tell(mine, made, reload_command(args, mine.state_dir), as_json=args.json)
    note_what_outranks(mine.secret_name, mine.state_dir, made.secret)
    note_what_lives_on(earlier, made.secret)


def _way(args: Namespace, mine: Account) -> Way | None:
    """The way that the command line names, if it does.

    Raises:
        UsageError: the kind does not have it.
    """
    way: Way | None = "password" if args.password_stdin else "token" if args.token_stdin else None
    if way is not None and way not in mine.guide.ways:
        raise UsageError(
            f"cannot log in to {mine.kind} with a {way}; use {_flags_of(mine.guide.ways)}"
        )
    return way


def _flags_of(ways: Sequence[Way]) -> str:
    return " or ".join(f"--{way}-stdin" for way in ways)


def _demand(mine: Account, lacking: Sequence[str]) -> None:
    """Name all that is missing where nobody can be asked.

    Args:
        mine: whose settings may be missing.
        lacking: flags that are missing beside those of the settings.

    Raises:
        UsageError: something is.
    """
    from fleetchatd.setup import prompts

    lacking = [*lacking, *(flags.flag(mine.schema, name) for name in mine.missing())]
    if lacking and not prompts.possible():
        raise UsageError(f"cannot ask without a terminal; give {', '.join(lacking)}")


def _warn_of_the_way(mine: Account) -> None:
    """Say so, before anything secret is typed or sent, where others could read it on the way."""
    from fleetchatd.connectors.guide import Finding
    from fleetchatd.setup.look import show

    for name in mine.guide.login_settings:
        url = str(mine.settings[name])
        if _is_unencrypted(url):
            what = f"{url} is not encrypted: what you log in with can be read on the way"
            show(Finding("warning", what, f"use https:// in {name}"))


def _is_unencrypted(url: str) -> bool:
    from urllib.parse import urlsplit

    from fleetchatd.connectors.network import on_loopback

    try:
        parts = urlsplit(url)
    except ValueError:  # whoever asks it will be told so
        return False
    return parts.scheme == "http" and not on_loopback(parts.hostname or "")


async def _credential(mine: Account, way: Way | None) -> Credential:
    from fleetchatd.setup import credentials, prompts

    if way is not None:
        return credentials.read(way)
    for name in mine.guide.login_settings:
        prompts.say(f"{name}: {mine.settings[name]}")
    found = await credentials.ask(await credentials.ask_how(mine.guide.ways))
    if found is None:
        raise UsageError("cannot log in with nothing; type it, and press Enter")
    return found


def _tell(mine: Account, made: Login, command: str | None, *, as_json: bool) -> None:
    """Say what was stored, and what to type next; of the secret itself nothing is said."""
    device_id = made.secret.device_id
    if as_json:
        done = {"kind": mine.kind, "user": made.who, "device_id": device_id, "path": str(mine.path)}
        output.write_json(json.dumps(done | {"next": command}))
        return
    device = f", device {device_id}" if device_id else ""
    output.write(output.line(f"logged in as {made.who}{device}; stored in {mine.path}") + "\n")
    if command is not None:
        output.write(f"next: {output.line(command)}\n")


# -- logout ----------------------------------------------------------------------------------------


async def _logout(args: Namespace) -> None:
    """First at the server, then here.

    Killed in between, it leaves a login that is over: the daemon names it, and a second `logout`
    removes it. The other way round, a login that nobody knows of would live on.
    """
    from fleetchatd.setup import account

    mine, more = account.of(args), None
    if not args.forget and mine.is_stored():
        if not mine.knows_its_server():
            _demand(mine, [])
            await account.complete(mine)
        mine.refuse_unwritable()  # else what is over already would stay here
        more = await _end(mine)
    removed = mine.remove()
    if args.json:
        done = {"kind": mine.kind, "removed": removed, "path": str(mine.path)}
        output.write_json(json.dumps(done))
    else:
        said = "removed the login in" if removed else "nothing is stored in"
        output.write(output.line(f"{said} {mine.path}") + "\n")
    if more is not None:
        output.note(more)
    left = mine.used()
    if left is not None:
        output.note(f"{left.source} has a secret still, and a daemon that finds it there uses it")


async def _end(mine: Account) -> str | None:
    """End the stored login at the server, and the one that a daemon has renewed it to meanwhile.

    Returns:
        What else there is to do.
    """
    try:
        ending = mine.read()
        while True:
            more = await mine.guide.logout(mine.settings, ending)
            ended, ending = ending, mine.stored() or ending
            if ending == ended:
                return more
    except (SetupError, SecretError) as error:
        raise type(error)(f"{error}; or remove it here only, with --forget") from error
