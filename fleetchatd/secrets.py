"""Secrets: the credentials directory, the environment, stored logins (contract §1).

No text, representation or exception made here shows a secret's value.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import math
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fleetchatd.durable import replace_file, sync_folder
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret

LONGEST_BYTES = 8 * 1024

_EXCHANGE_PAUSE_S = 0.05
_EXCHANGE_TRIES = 900
"""Together 45 s, longer than another program's request for a token may take."""

_LONGEST_FILE_BYTES = 4 * LONGEST_BYTES
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TOKEN = re.compile(rf"[!-~]{{1,{LONGEST_BYTES}}}")


def read_secret(
    name: str, state_dir: str | Path, environ: Mapping[str, str] = os.environ
) -> Secret:
    """The secret called `name`, from the first place that has it.

    A login stored by a refresh outranks the configured secret that it came from, for the server
    has withdrawn that one.

    Args:
        name: such as `matrix_access_token`.
        state_dir: the state directory that stored logins are in.
        environ: the environment.

    Raises:
        SecretError: it is missing, unreadable or malformed.
    """
    path = login_path(name, state_dir)  # refuses names that lead elsewhere
    configured = _configured(name, environ)
    stored = _stored(path)
    if stored is not None and (configured is None or stored.replaces == configured.replaces):
        return stored
    if configured is not None:
        return configured
    raise SecretError(
        f"cannot find the secret {name}: not in $CREDENTIALS_DIRECTORY/{name}, not in"
        f" ${name.upper()}, not in {path}; run `fleetchat login`, or put it in one of them"
    )


def store_login(name: str, state_dir: str | Path, secret: Secret) -> None:
    """Store `secret` under the state directory, durably and for its owner only.

    The file appears whole or not at all, and belongs to whom the state directory belongs.

    Raises:
        SecretError: it could not be stored; what was stored before stays.
    """
    path = login_path(name, state_dir)
    try:
        _make_private(path.parent)
        content = json.dumps(_to_json(secret)).encode()
        replace_file(path, content, ready=partial(_own_like, path.parent))
    except OSError as error:
        raise SecretError(
            f"cannot store the secret {name} in {path}: {error.strerror}; make room there, or see"
            " to its rights"
        ) from error


@asynccontextmanager
async def exchange(state_dir: str | Path) -> AsyncIterator[None]:
    """While a stored login is exchanged for its successor, nobody else exchanges it.

    A server withdraws what came of the first exchange when the same token is exchanged again, so
    a daemon and `fleetchat doctor` that do it at once could be left with nothing. One that takes
    too long, stopped with Ctrl-Z perhaps, is not waited for: the daemon needs its token.
    """
    try:
        descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # there is none yet, so no daemon either; or nothing can be stored there
        yield
        return
    try:
        for _ in range(_EXCHANGE_TRIES):
            if _is_locked(descriptor):
                break
            await asyncio.sleep(_EXCHANGE_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_login(name: str, state_dir: str | Path) -> bool:
    """Forget a stored login.

    Returns:
        Whether there was one.

    Raises:
        SecretError: it could not be removed.
    """
    path = login_path(name, state_dir)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SecretError(
            f"cannot remove {path}: {error.strerror}; see to its folder's rights"
        ) from error
    return True


def login_path(name: str, state_dir: str | Path) -> Path:
    """The file of a stored login."""
    if not _NAME.fullmatch(name):
        raise SecretError(f"cannot use {name!r} as a secret's name: use a-z, 0-9 and _")
    return Path(state_dir) / "logins" / f"{name}.json"


def _configured(name: str, environ: Mapping[str, str]) -> Secret | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    raw = _read(Path(folder) / name) if folder else None
    source = f"{folder}/{name}"
    if raw is None and environ.get(name.upper()):
        raw, source = os.fsencode(environ[name.upper()]), f"${name.upper()}"
    if raw is None:
        return None
    secret = _parse(raw, source)
    # Whatever the file says: a configured secret is the beginning of its chain, and goes where
    # the roster says, which was configured with it.
    origin = hashlib.sha256(secret.value.encode()).hexdigest()
    return replace(secret, replaces=origin, servers=())


def _stored(path: Path) -> Secret | None:
    raw = _read(path)
    return None if raw is None else _parse(raw, str(path))


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise SecretError(f"cannot read the secret in {path}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not a usable path"


def _parse(raw: bytes, source: str) -> Secret:
    """A bare token, or the JSON object of a login."""
    if len(raw) > _LONGEST_FILE_BYTES:
        raise _malformed(source, f"it is longer than {_LONGEST_FILE_BYTES} bytes")
    try:
        text = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _malformed(source, "it is not UTF-8") from None
    if not text.lstrip().startswith("{"):
        return Secret(_token(text, "it", source), source=source)
    try:
        login = json.loads(text)
    # Not chained: the decoder's error carries the whole text.
    except (ValueError, RecursionError):
        raise _malformed(source, "it begins with { but is not JSON") from None
    return _login(login, source)


def _login(login: dict[str, Any], source: str) -> Secret:
    """What a Matrix login answers, or what `store_login` wrote.

    `expires_in_ms` counts from a login that nobody here saw, so it says nothing: the server
    will tell when the token has expired.
    """
    refresh_token = login.get("refresh_token")
    device_id = login.get("device_id")
    replaces = login.get("replaces")
    return Secret(
        _token(login.get("access_token"), "its access_token", source),
        refresh_token=None
        if refresh_token is None
        else _token(refresh_token, "its refresh_token", source),
        device_id=device_id if isinstance(device_id, str) else None,
        expires_at=_expiry(login.get("expires_at"), source),
        source=source,
        replaces=replaces if isinstance(replaces, str) else None,
        servers=_servers(login.get("servers", []), source),
    )


def _servers(value: object, source: str) -> tuple[str, ...]:
    """Whom it may be shown to; a login stored by an earlier version does not say."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _malformed(source, "its servers are not a list of names")
    return tuple(value)


def _expiry(value: object, source: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed(source, "its expires_at is not a number")
    try:
        expires_at = float(value)
    except OverflowError:
        expires_at = math.inf
    return expires_at if math.isfinite(expires_at) else None


def _token(value: object, what: str, source: str) -> str:
    if not isinstance(value, str) or not value:
        raise _malformed(source, f"{what} is empty or missing")
    if len(value) > LONGEST_BYTES:
        raise _malformed(source, f"{what} is longer than {LONGEST_BYTES} bytes")
    if not _TOKEN.fullmatch(value):
        raise _malformed(
            source, f"{what} has characters in it that no token has (blanks, controls, non-ASCII)"
        )
    return value


def _malformed(source: str, why: str) -> SecretError:
    return SecretError(f"cannot use the secret in {source}: {why}; put the bare token there")


def _to_json(secret: Secret) -> dict[str, Any]:
    return {
        "access_token": secret.value,
        "refresh_token": secret.refresh_token,
        "expires_at": secret.expires_at,
        "device_id": secret.device_id,
        "replaces": secret.replaces,
        "servers": secret.servers,
    }


def _make_private(folder: Path) -> None:
    """Make a directory, and those it is in, mode 0700, owned like the one that is there already."""
    if folder.is_dir():
        return
    _make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _own_like(folder.parent, folder)
    sync_folder(folder.parent)  # else the first login may go with a power cut, folder and all


def _own_like(model: Path, target: Path | int) -> None:
    """Root stores logins for the daemon's user, who must be able to read them."""
    if os.geteuid() == 0:
        owner = model.stat()
        os.chown(target, owner.st_uid, owner.st_gid)
