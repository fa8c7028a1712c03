"""`fleetchat init`: from nothing, or from a roster, to a connector that works (contract §8).

What the kinds need is asked for and verified through their schemas and guides. Nothing is written
before everything is known and verified; what is then written last is the roster.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from fleetchatd.client import output
from fleetchatd.client.errors import ClientError, UsageError
from fleetchatd.connectors import registry
from fleetchatd.errors import RosterError
from fleetchatd.setup import flags

if TYPE_CHECKING:
    from fleetchatd.setup.draft import Draft
    from fleetchatd.setup.look import Look

EXAMPLES = """\
examples:
  fleetchat init                                  (asks for everything)
  fleetchat init --connector tmux --yes
  fleetchat init --connector matrix --homeserver-url https://matrix.example.org \\
      --user-id @mos:example.org --room-id '#fleet:example.org' --dry-run
"""


def init_arguments(parser: ArgumentParser) -> None:
    """Declare what `init` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("--roster", metavar="FILE", help="the roster to write")
    parser.add_argument("--state-dir", metavar="DIR", help="the daemon's, where logins are stored")
    parser.add_argument(
        "--connector", metavar="KIND", choices=registry.kinds(), help=", ".join(registry.kinds())
    )
    parser.add_argument(
        "--create-room", action="store_true", help="make a private room without encryption"
    )
    parser.add_argument(
        "--invite", metavar="ID", action="append", help="whom to invite into it; may be repeated"
    )
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be written")
    parser.add_argument("--no-verify", action="store_true", help="ask no server whether it works")
    flags.add_flags(parser, registry.kinds())


def init(args: Namespace) -> int:
    """Set a connector up; see contract §8 for the exit codes."""
    from fleetchatd.setup.context import run

    if args.create_room and args.dry_run:
        raise UsageError("cannot make a room with --dry-run; leave one of them out")
    if args.invite and not args.create_room:
        raise UsageError("cannot invite anybody: no room is made; add --create-room")
    run(_init(args))
    return 0


async def _init(args: Namespace) -> None:
    from fleetchatd.setup.writing import write

    draft = await _begin(args)
    try:
        await _complete(draft, args)
        written = await write(draft, yes=args.yes, dry_run=args.dry_run)
    finally:
        await draft.forget()
    if written:
        _say_what_next(draft)


async def _begin(args: Namespace) -> Draft:
    """What the roster and the command line say, checked as far as no server is needed."""
    from fleetchatd import places
    from fleetchatd.setup import answers, present
    from fleetchatd.setup.draft import Draft
    from fleetchatd.setup.state import state_dir_for
    from fleetchatd.setup.typed import Places

    there = present.read(present.find(args.roster))
    kind = args.connector or there.kind or await _ask_for_kind(args)
    schema = registry.settings_schema(kind)
    given = flags.given(args, kind, schema)
    answers.refuse_ill_formed(kind, given, schema)
    there.refuse_others(kind, flags.properties(schema))
    named = Places(args.roster, args.state_dir, args.socket)
    has_login = bool(registry.secret_names(kind))
    state_dir = state_dir_for(there.path, args) if has_login else places.state_dir(args.state_dir)
    draft = Draft(kind, there, given, state_dir, named)
    _refuse_impossible_room(draft, args)
    return draft


async def _ask_for_kind(args: Namespace) -> str:
    from fleetchatd.setup import prompts

    if not prompts.possible():
        rest = "" if args.yes or args.dry_run else ", --yes"
        raise UsageError(
            f"cannot ask without a terminal; give --connector{rest}, and what it needs"
        )
    kinds = dict.fromkeys([registry.DEFAULT_KIND, *registry.kinds()])
    return await prompts.choose(
        "Where do you want to talk with your orchestrator?", {kind: kind for kind in kinds}
    )


def _refuse_impossible_room(draft: Draft, args: Namespace) -> None:
    if not args.create_room:
        return
    from fleetchatd.setup.interview import people_in

    if not draft.room_settings:
        raise UsageError(f"cannot make a room with {draft.kind}; leave --create-room out")
    given = flags.given(args, draft.kind, draft.schema)
    both = [flags.flag(draft.schema, name) for name in draft.room_settings if name in given]
    if both:
        raise UsageError(f"cannot make a room and use another one; leave {', '.join(both)} out")
    _, problem = people_in(draft.kind, draft.schema, args.invite or [])
    if problem is not None:
        raise UsageError(f"--invite: {problem}")


# -- what is missing -------------------------------------------------------------------------------


async def _complete(draft: Draft, args: Namespace) -> None:
    """Have everything known and, unless told otherwise, verified."""
    from fleetchatd.setup import prompts
    from fleetchatd.setup.look import Look, show

    if not args.no_verify and not draft.can_examine:
        output.note(f"nothing can be verified: the connector {draft.kind} brings no guide")
    look = None if args.no_verify else Look(draft, with_oks=prompts.possible())
    if prompts.possible():
        await _interview(draft, args, look)
    else:
        await _demand(draft, args, look)
    secret = draft.secret_finding()
    if secret is not None:
        show(secret)


async def _interview(draft: Draft, args: Namespace, look: Look | None) -> None:
    from fleetchatd.setup.interview import Interview

    interview = Interview(draft, look)
    if args.create_room and draft.lacks_room():
        draft.have_room_made(args.invite or await interview.ask_whom_to_invite())
    await interview.run()


async def _demand(draft: Draft, args: Namespace, look: Look | None) -> None:
    """Without a terminal: all that is missing is named at once, and looked at once.

    Raises:
        UsageError: something is missing.
        ClientError: it does not work.
    """
    if not _demand_flags(draft, args):
        return
    errors = [] if look is None else await look.errors()
    if errors:
        raise ClientError(
            f"{draft.present.path} was left as it is; mend the above, or write it unverified with"
            " --no-verify"
        )


def _demand_flags(draft: Draft, args: Namespace) -> bool:
    """The same, as far as no server is asked; whether there is anything to write."""
    from fleetchatd.setup.writing import change_of

    wrong = draft.wrong()
    if wrong:
        raise RosterError([problem.text(draft.present.path) for problem in wrong.values()])
    lacking = []
    if args.create_room and draft.lacks_room():
        draft.have_room_made(args.invite or ())
        lacking = [] if args.invite else ["--invite"]
    lacking = [flags.flag(draft.schema, name) for name in draft.missing()] + lacking
    writes = bool(lacking) or draft.invite is not None or change_of(draft).needed
    if writes and not args.yes and not args.dry_run:
        lacking.append("--yes")
    if lacking:
        raise UsageError(
            f"cannot ask without a terminal; give {', '.join(lacking)} (fleetchat init --help)"
        )
    return writes


def _say_what_next(draft: Draft) -> None:
    from fleetchatd.setup.afterwards import start_or_reload

    command = draft.named.typed(f"fleetchat login {draft.kind}")
    todo = [] if draft.secret_finding() is None else [command]
    todo += start_or_reload(draft.named)
    output.write("".join(f"next: {output.line(command)}\n" for command in todo))
