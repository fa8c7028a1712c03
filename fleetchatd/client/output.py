"""What is written to standard output and standard error, and how it looks.

Whatever came through the chat is hostile: control characters and the marks that reverse the
direction of writing are shown, never obeyed, so that no message can drive a terminal or pass for
another line.
"""

from __future__ import annotations

import errno
import os
import sys

from fleetchatd.client.errors import OutputError, ReaderGoneError

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_DIRECTIONS = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_UNSAFE = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _CONTROLS + _DIRECTIONS
}
_UNSAFE_LINE = _UNSAFE | {0x0A: "\\n", 0x09: " "}
_UNSAFE_TEXT = {code: shown for code, shown in _UNSAFE.items() if code != 0x0A} | {0x09: "    "}
_UNSAFE_JSON = {code: f"\\u{code:04x}" for code in _CONTROLS + _DIRECTIONS if code >= 0x20}


def line(value: object) -> str:
    """`value` as text that stays on one line."""
    return "" if value is None else str(value).translate(_UNSAFE_LINE)


def text(value: object) -> str:
    """`value` as text whose lines are kept."""
    return "" if value is None else str(value).translate(_UNSAFE_TEXT)


def write(words: str, encoding: str | None = None) -> None:
    """Write to standard output; once it returns, the words are out.

    Args:
        words: what is written.
        encoding: standard output's own unless the words belong to something that has another.

    Raises:
        ReaderGoneError: nobody reads it any more.
        OutputError: it cannot be written.
    """
    if sys.stdout is None:  # the shell's `>&-`
        raise OutputError("cannot write: standard output is closed")
    _write_bytes(words.encode(encoding or sys.stdout.encoding, "replace"))


def write_json(*sources: str) -> None:
    """Write JSON values as the daemon sent them, a line each; raises as `write`.

    What a terminal would obey is written as JSON's own escapes, which changes no value. JSON is
    UTF-8 whatever the locale (RFC 8259 §8.1).
    """
    if sys.stdout is None:
        raise OutputError("cannot write: standard output is closed")
    lines = (source.strip().replace("\n", " ").translate(_UNSAFE_JSON) + "\n" for source in sources)
    _write_bytes("".join(lines).encode())


def note(words: str) -> None:
    """Say something beside the output, on standard error."""
    if sys.stderr is None:
        return
    try:
        print(f"fleetchat: {text(words)}", file=sys.stderr, flush=True)
    except OSError:  # nobody listens, and there is nowhere else to say so
        _silence(sys.stderr.fileno())


def on_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def paint(words: str, code: str) -> str:
    """`words` in a colour (an SGR code) where colours are wanted (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not on_terminal()
    return words if plain else f"\x1b[{code}m{words}\x1b[0m"


def clock(stamp: object) -> str:
    """An RFC 3339 time as this place's clock shows it, with the date unless it is today."""
    from datetime import datetime  # `send` never shows a time

    try:
        local = datetime.fromisoformat(str(stamp)).astimezone()
    except (ValueError, OverflowError, OSError):
        return line(stamp)
    today = datetime.now().astimezone().date() == local.date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"


def columns(rows: list[list[str]]) -> str:
    """Rows as aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in rows
    )


def _write_bytes(data: bytes) -> None:
    left = memoryview(data)
    try:
        while left:  # unbuffered (PYTHONUNBUFFERED), a write to a full disk may take just a part
            written = sys.stdout.buffer.write(left)
            if written is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            left = left[written:]
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout.fileno())
        raise ReaderGoneError from None
    except OSError as error:
        _silence(sys.stdout.fileno())
        raise OutputError(f"cannot write to standard output: {error.strerror}") from None


def _silence(descriptor: int) -> None:
    """Let the interpreter's own flush at the end go nowhere: failing, it would exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
