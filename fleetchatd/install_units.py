"""`fleetchatd install-units`: systemd's units, for the Python that runs this (contract §7).

The units are in units/. Each file that is written ends with a line that has the hash of what stands
above it, so that a file of an earlier version (which is replaced) can be told from one that
somebody has changed by hand (which is left alone, and named).
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Literal

import fleetchatd
from fleetchatd.errors import FleetchatError

USER = "fleetchatd"
SYSUSERS = Path("/etc/sysusers.d/fleetchatd.conf")
SYSTEM_FOLDER = Path("/etc/systemd/system")
USER_STATE = "%h/.local/state"

_CLOSED = {Path(p) for p in ("/home", "/root", "/run/user", "/tmp", "/var/tmp")}  # noqa: S108
"""What ProtectHome= and PrivateTmp= hide from the service."""

Standing = Literal["absent", "current", "outdated", "by hand"]
"""How a file stands: `outdated` if another version or installation wrote it, `by hand` if somebody
has changed it since."""

_SEAL = "# install-units wrote what stands above; its SHA-256 is "
_SOURCES = resources.files("fleetchatd") / "units"


def run(*, user: bool, uninstall: bool, dry_run: bool) -> int:
    """Install or remove the units of the system, or of the user who runs this; gives the exit code.

    Raises:
        FleetchatError: it cannot be done; what was done before stays, and it may be run again.
    """
    try:
        (_uninstall if uninstall else _install)(user, dry_run)
    except OSError as error:
        raise FleetchatError(
            f"cannot change {error.filename}: {error.strerror}; {_remedy(user)}"
        ) from error
    return 0


def _remedy(user: bool) -> str:
    if user or os.geteuid() == 0:
        return "see whose it is, and whether it may be written"
    return "run it as root, or install a user's with --user"


def _install(user: bool, dry_run: bool) -> None:
    if not user:
        _see_that_the_service_can_run_it(dry_run)
    for path, text in _files(user):
        standing = _standing(path, text)
        if standing == "current":
            print(f"{path} is as it should be")
        elif standing == "by hand":
            _leave_alone(path, "remove it to get the present one, and use drop-ins")
        else:
            _do(dry_run, f"write {path}", partial(_write, path, text))
        if path == SYSUSERS and not _user_exists():
            _do(dry_run, f"make user and group {USER}", _make_user)
    _do(dry_run, f"reload {_manager(user)}", partial(_reload, user))


def _uninstall(user: bool, dry_run: bool) -> None:
    for path, text in _files(user):
        standing = _standing(path, text)
        if standing == "absent":
            continue
        if standing == "by hand":
            _leave_alone(path, "remove it yourself if nobody needs it")
            continue
        if path != SYSUSERS:
            _do(dry_run, f"disable {path.name}", partial(_disable, user, path.name))
        _do(dry_run, f"remove {path}", path.unlink)
    _do(dry_run, f"reload {_manager(user)}", partial(_reload, user))
    if not user and _user_exists():
        print(f"the user {USER} stays, and with it the journal in /var/lib/fleetchatd")


def _do(dry_run: bool, what: str, step: Callable[[], object]) -> None:
    print(f"would {what}" if dry_run else what, flush=True)
    if not dry_run:
        step()


def _leave_alone(path: Path, remedy: str) -> None:
    print(f"fleetchatd: {path} was changed by hand and is left alone; {remedy}", file=sys.stderr)


# -- the files -----------------------------------------------------------------------------------


def standings(user: bool) -> Iterator[tuple[Path, Standing]]:
    """How each file stands of those that would be installed; changes nothing.

    Raises:
        FleetchatError: nothing can be installed from here.
        OSError: a file cannot be looked at.
    """
    for path, text in _files(user):
        yield path, _standing(path, text)


def _files(user: bool) -> Iterator[tuple[Path, str]]:
    """Every file, with the text that it should have."""
    folder = _user_folder() if user else SYSTEM_FOLDER
    for source in sorted((_SOURCES / ("user" if user else "system")).iterdir(), key=str):
        text = _sealed(_for_here(source.read_text()))
        yield SYSUSERS if source.name == "sysusers.conf" else folder / source.name, text


def _user_folder() -> Path:
    try:
        return Path.home() / ".config/systemd/user"
    except RuntimeError:
        raise FleetchatError(
            "cannot find the folder of the user's units: there is no home directory; set HOME"
        ) from None


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


def _sealed(text: str) -> str:
    return f"{text}{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"


def _standing(path: Path, text: str) -> Standing:
    present = _present(path)
    if present is None:
        return "absent"
    if present == text:
        return "current"
    return "outdated" if present == _sealed(present.rpartition(_SEAL)[0]) else "by hand"


def _present(path: Path) -> str | None:
    """What a file has in it; a link, such as a masked unit is, counts as changed by hand."""
    if path.is_symlink():
        return ""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(path)


# -- the user ------------------------------------------------------------------------------------


def _user_exists() -> bool:
    """Whether both are there, the user and the group."""
    try:
        pwd.getpwnam(USER)
        grp.getgrnam(USER)
    except KeyError:
        return False
    return True


def _make_user() -> None:
    _run(
        ["systemd-sysusers", str(SYSUSERS)],
        f"cannot make the user {USER}",
        f"make a system user and group {USER} with the home /var/lib/fleetchatd, and run it again",
    )


def _see_that_the_service_can_run_it(dry_run: bool) -> None:
    """Say so now if the service's user may not get at the programs: systemd says just 203/EXEC.

    Raises:
        FleetchatError: it may not (a dry run goes on).
    """
    needed = (programs(), Path(sys.executable).resolve(), Path(fleetchatd.__file__))
    closed = [folder for file in needed for folder in file.parents if _is_closed(folder)]
    if not closed:
        return
    sentence = (
        f"cannot run {needed[0]}/fleetchatd as the user {USER}: {closed[0]} is closed to it; "
        "install fleetchatd for all users, under /opt for example, or its units with --user"
    )
    if not dry_run:
        raise FleetchatError(sentence)
    print(f"fleetchatd: {sentence}", file=sys.stderr)


def _is_closed(folder: Path) -> bool:
    return folder in _CLOSED or not folder.stat().st_mode & stat.S_IXOTH


# -- systemd -------------------------------------------------------------------------------------


def _manager(user: bool) -> str:
    return "the user's service manager" if user else "the service manager"


def _reload(user: bool) -> None:
    if _is_running(user):
        _run(
            [*_systemctl(user), "daemon-reload"],
            f"cannot reload {_manager(user)}",
            "run it again once that works" if user or os.geteuid() == 0 else "run it as root",
        )
    else:
        print(f"{_manager(user)} is not running: nothing to reload")


def _disable(user: bool, unit: str) -> None:
    """Take the links to a unit away; one that runs goes on until it is stopped."""
    if shutil.which("systemctl"):
        _run(
            [*_systemctl(user), "--quiet", "disable", unit],
            f"cannot disable {unit}",
            "run it again once that works",
        )


def _is_running(user: bool) -> bool:
    folder = f"/run/user/{os.getuid()}/systemd" if user else "/run/systemd"
    return os.path.exists(f"{folder}/private")  # False, too, where it may not be looked at


def _systemctl(user: bool) -> list[str]:
    if user:  # not set where somebody became this user with sudo
        os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    if not _is_running(user):  # systemctl then changes the files by itself
        os.environ["SYSTEMD_OFFLINE"] = "1"
    return ["systemctl", "--user"] if user else ["systemctl"]


def _run(command: list[str], failure: str, remedy: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        reason = (done.stderr.strip() or f"exit {done.returncode}") if done.returncode else ""
    except FileNotFoundError:
        reason = f"there is no {command[0]}"
    if reason:
        raise FleetchatError(f"{failure}: {reason}; {remedy}")
