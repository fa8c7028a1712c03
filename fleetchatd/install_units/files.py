"""The units as they should be on this machine, and how the present files stand.

They come from units/. Each file that is written ends with a line that has the hash of what stands
above it, so that a file of an earlier version (which is replaced) can be told from one that
somebody has changed by hand (which is left alone, and named).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Literal

from fleetchatd import places
from fleetchatd.durable import replace_file
from fleetchatd.errors import FleetchatError

SYSUSERS = Path("/etc/sysusers.d/fleetchatd.conf")
SYSTEM_FOLDER = Path("/etc/systemd/system")
USER_STATE = "%h/.local/state"

Standing = Literal["absent", "current", "outdated", "by hand"]
"""How a file stands: `outdated` if another version or installation wrote it, `by hand` if somebody
has changed it since."""

SEAL = "# install-units wrote what stands above; its SHA-256 is "
_SOURCES = resources.files("fleetchatd") / "units"


def standings(user: bool) -> Iterator[tuple[Path, Standing]]:
    """How each file stands of those that would be installed; changes nothing.

    Raises:
        FleetchatError: nothing can be installed from here.
        OSError: a file cannot be looked at.
    """
    for path, text in wanted(user):
        yield path, standing_of(path, text)


def wanted(user: bool) -> Iterator[tuple[Path, str]]:
    """Every file, with the text that it should have."""
    folder = _user_folder() if user else SYSTEM_FOLDER
    for source in sorted((_SOURCES / ("user" if user else "system")).iterdir(), key=str):
        text = sealed(_for_here(source.read_text()))
        yield SYSUSERS if source.name == "sysusers.conf" else folder / source.name, text


def _user_folder() -> Path:
    for folder in places.in_home(".config/systemd/user"):
        return Path(folder)
    raise FleetchatError(
        "cannot find the folder of the user's units: there is no home directory; set HOME"
    )


def _for_here(text: str) -> str:
    """A unit that starts the programs of this Python, and keeps state where they would."""
    if state := os.environ.get("XDG_STATE_HOME", ""):
        text = text.replace(USER_STATE, _escaped(state)) if state.startswith("/") else text
    manuals = Path(sysconfig.get_path("data"), "share/man").as_uri().replace("%", "%%")
    text = text.replace("file:/usr/share/man", manuals)
    return re.sub("(?<==)/usr/bin/fleetchatd?", _program, text)


def _program(found: re.Match[str]) -> str:
    name = _escaped(str(programs() / Path(found[0]).name), " ")
    return f'"{name}"' if " " in name else name


def programs() -> Path:
    """The folder with `fleetchatd` and `fleetchat` of this Python in it.

    Raises:
        FleetchatError: this Python has none.
    """
    places = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", "posix_user")]
    for place in map(Path, places):
        if all((place / name).is_file() for name in ("fleetchatd", "fleetchat")):
            return place
    raise FleetchatError(
        f"cannot find fleetchatd and fleetchat of {sys.executable} in {' or '.join(places)}; "
        "install them there, with pipx for example"
    )


def _escaped(path: str, more: str = "") -> str:
    """A path as a unit wants it (systemd.service(5), systemd.unit(5)); `more` is allowed as well.

    Raises:
        FleetchatError: no unit can have it everywhere it is needed.
    """
    if re.search(r"[\s\"'\\;$]", path.translate(dict.fromkeys(map(ord, more)))):
        raise FleetchatError(
            f"cannot name {path!r} in a unit: it has a blank, quote, backslash, semicolon or dollar"
            " sign in it; install fleetchatd elsewhere"
        )
    return path.replace("%", "%%")


def sealed(text: str) -> str:
    """A file's text as it is written, with the line that tells whether somebody changed it."""
    return f"{text}{SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"


def standing_of(path: Path, text: str) -> Standing:
    """How a file stands that should have this text."""
    present = _present(path)
    if present is None:
        return "absent"
    if present == text:
        return "current"
    return "outdated" if present == sealed(present.rpartition(SEAL)[0]) else "by hand"


def _present(path: Path) -> str | None:
    """What a file has in it; a link, such as a masked unit is, counts as changed by hand."""
    if path.is_symlink():
        return ""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None


def write(path: Path, text: str) -> None:
    """Put a file in place, for all to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), ready=lambda descriptor: os.fchmod(descriptor, 0o644))
