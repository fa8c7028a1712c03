"""What is installed: the programs, and systemd's units."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from fleetchatd import __version__, install_units
from fleetchatd.connectors.guide import Finding
from fleetchatd.errors import FleetchatError
from fleetchatd.setup.findings import of_error


def look_at_programs() -> Iterator[Finding]:
    """Whether both programs are there, and are those that a shell would start."""
    try:
        folder = install_units.programs()
    except FleetchatError as error:
        yield of_error(error, "the programs", level="warning")
        return
    others = [found for name in ("fleetchatd", "fleetchat") if (found := _other(folder / name))]
    for other in others:
        what = f"a shell starts {other}, which is another installation than {folder}"
        yield Finding("warning", what, f"put {folder} first in $PATH, or remove the other one")
    if not others:
        what = f"fleetchatd {__version__} is in {folder}, with Python {platform.python_version()}"
        yield Finding("ok", what)


def _other(program: Path) -> str | None:
    """What a shell would start in the place of `program`."""
    found = shutil.which(program.name)
    return None if found is None or Path(found).resolve() == program.resolve() else found


def look_at_units() -> Iterator[Finding]:
    """The units of the user, and those of the system."""
    try:
        install_units.programs()
    except FleetchatError:
        return  # told already; without them, nobody knows what should be in the units
    yield from _look_at_units(user=True)
    yield from _look_at_units(user=False)


def _look_at_units(*, user: bool) -> Iterator[Finding]:
    subject = "units of the user" if user else "units of the system"
    command = "fleetchatd install-units" + (" --user" if user else "")
    try:
        standings = list(install_units.standings(user))
    except FleetchatError as error:
        yield of_error(error, subject, level="warning")
        return
    if all(standing == "absent" for _, standing in standings):
        yield Finding("ok", f"{subject}: not installed")
        return
    if all(standing == "current" for _, standing in standings):
        yield Finding("ok", f"{subject}: installed and current")
    for path, standing in standings:
        if standing == "by hand":
            what = f"{subject}: {path} was changed by hand, and is never updated"
            remedy = f"move what you want into a drop-in, remove the file, and run `{command}`"
            yield Finding("warning", what, remedy)
        elif standing != "current":
            how = (
                "is missing" if standing == "absent" else "is not what this fleetchatd would write"
            )
            yield Finding("warning", f"{subject}: {path} {how}", f"run `{command}`")
