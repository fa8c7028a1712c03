"""Sending. Its start is what scripts wait for, so this file holds nothing else."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from functools import partial

from fleetchatd.client import output
from fleetchatd.client.arguments import seconds
from fleetchatd.client.connection import PATIENCE_S
from fleetchatd.client.errors import ClientError, ConnectionBrokenError, NoDaemonError, UsageError
from fleetchatd.client.http import Answer, Client

TEXT_LIMIT_BYTES = 1024 * 1024
"""The daemon takes no larger request, so there is no sense in reading more."""

WAIT_LIMIT_S = 60.0
"""As long as one request may wait (contract §3); a longer wait is several."""

RETURN_S = 10.0
"""How long a daemon that went away in the middle may take to come back."""

_FINAL = ("delivered", "failed", "unknown")


def send_arguments(parser: ArgumentParser) -> None:
    """Declare what `send` takes."""
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", help="the message; without it, or -, standard input"
    )
    parser.add_argument("--thread", metavar="ID", help="the thread to say it in")
    parser.add_argument("--reply-to", metavar="ID", help="the event it answers")
    parser.add_argument("--plain", action="store_true", help="the text is not Markdown")
    parser.add_argument("--notice", action="store_true", help="for information, not for an answer")
    parser.add_argument(
        "--expires", metavar="S", type=seconds, help="do not send it later than S s"
    )
    parser.add_argument("--key", metavar="KEY", help="sends it once, however often this is run")
    parser.add_argument("--wait", metavar="S", type=seconds, help="wait up to S s for the outcome")


def send(args: Namespace) -> int:
    """Hand a message to the daemon; it is on disk when this returns."""
    body = _draft(args)
    key = os.urandom(16).hex() if args.key is None else args.key
    if not (key.isascii() and key.isprintable()):
        raise UsageError("cannot use this --key: only printable ASCII characters may stand in it")
    answer = _post(Client(args.socket), body, key, args.wait)
    message = answer.json()
    if args.json:
        output.write_json(answer.text)
    else:
        output.write(output.line(message.get("id")) + "\n")
    return 0 if args.wait is None else _outcome(message)


def _draft(args: Namespace) -> dict[str, object]:
    body: dict[str, object] = {"text": _text(args.text)}
    if args.thread is not None:
        body["thread_id"] = args.thread
    if args.reply_to is not None:
        body["reply_to"] = args.reply_to
    if args.plain:
        body["format"] = "plain"
    if args.notice:
        body["notice"] = True
    if args.expires is not None:
        body["expires_s"] = args.expires
    return body


def _text(argument: str | None) -> str:
    if argument is not None and argument != "-":
        return argument
    if sys.stdin is None:
        raise UsageError("cannot read the text: standard input is closed; give TEXT")
    if sys.stdin.isatty():
        output.note("type the message; Ctrl-D on a line of its own sends it")
    raw = sys.stdin.buffer.read(TEXT_LIMIT_BYTES + 1)
    if len(raw) > TEXT_LIMIT_BYTES:
        raise ClientError("cannot send this: the text is longer than 1 MiB; send it as a file")
    try:
        words = raw.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"cannot send this: standard input is not UTF-8 at byte {error.start}; convert it first"
        ) from None
    # The newline that ends the last line belongs to the pipe, not to the message.
    return words.removesuffix("\r\n" if words.endswith("\r\n") else "\n")


def _post(client: Client, body: dict[str, object], key: str, wait_s: float | None) -> Answer:
    """Post the message, and again under the same key while its outcome is still awaited."""
    deadline = time.monotonic() + (wait_s or 0.0)
    left_s = wait_s
    while True:
        asked = time.monotonic()
        answer = _post_once(client, body, key, left_s)
        if wait_s is None or answer.json().get("state") in _FINAL:
            return answer
        left_s = deadline - time.monotonic()
        if left_s <= 0.01:
            return answer
        time.sleep(min(left_s, max(0.0, asked + 1.0 - time.monotonic())))


def _post_once(client: Client, body: dict[str, object], key: str, wait_s: float | None) -> Answer:
    """Post it; if the connection breaks, once more: the key makes that one message."""
    path, patience_s = "/v1/messages", PATIENCE_S
    if wait_s is not None:
        wait_s = min(wait_s, WAIT_LIMIT_S)
        path, patience_s = f"{path}?wait_s={wait_s:.3f}", PATIENCE_S + wait_s
    headers = f"Idempotency-Key: {key}\r\n"
    post = partial(client.ask, "POST", path, body, headers=headers, patience_s=patience_s)
    try:
        return post()
    except ConnectionBrokenError as error:
        output.note(f"{error}; asking again")
    deadline = time.monotonic() + RETURN_S
    while True:
        try:
            return post()
        except (NoDaemonError, ConnectionBrokenError) as error:
            if isinstance(error, ConnectionBrokenError) or time.monotonic() > deadline:
                raise ConnectionBrokenError(
                    f"cannot tell whether the message was accepted: {error}; run this again with"
                    f" --key {key}, which never sends it twice"
                ) from None
            time.sleep(0.2)


def _outcome(message: dict[str, object]) -> int:
    state = message.get("state")
    if state == "delivered":
        return 0
    if state in _FINAL:
        raise ClientError(f"the message is {state}: {message.get('error') or 'no reason is known'}")
    output.note(f"still {state}; `fleetchat show {message.get('id')}` tells what became of it")
    return 0
