"""Completion scripts for shells, made from the parser itself."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fleetchatd.client import output


def completion_arguments(parser: ArgumentParser) -> None:
    """Declare what `completion` takes."""
    parser.add_argument(
        "shell", metavar="SHELL", choices=["bash", "zsh", "fish"], help="bash, zsh or fish"
    )
    parser.epilog = """\
examples:
  fleetchat completion bash > ~/.local/share/bash-completion/completions/fleetchat
  fleetchat completion zsh > "${fpath[1]}/_fleetchat"
  fleetchat completion fish > ~/.config/fish/completions/fleetchat.fish
"""


def completion(args: Namespace) -> int:
    """Print the script."""
    import shtab

    from fleetchatd.client.main import build_parser

    output.write(shtab.complete(build_parser(), shell=args.shell))
    return 0
