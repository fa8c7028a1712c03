from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fleetchatd import secrets
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from fleetchatd.secrets import exchange, login_path, read_secret, remove_login, store_login

NAME = "matrix_access_token"


def credential(folder: Path, value: str | bytes) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    raw = value if isinstance(value, bytes) else value.encode()
    (folder / NAME).write_bytes(raw)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_a_credential_beats_the_environment_which_beats_a_login(tmp_path: Path) -> None:
    store_login(NAME, tmp_path, Secret("stored"))
    environ = {"MATRIX_ACCESS_TOKEN": "env"}
    assert read_secret(NAME, tmp_path, {}).value == "stored"
    assert read_secret(NAME, tmp_path, environ).value == "env"
    assert read_secret(NAME, tmp_path, environ | credential(tmp_path / "c", "file")).value == "file"


def test_a_variable_that_is_empty_is_not_set(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="cannot find the secret"):
        read_secret(NAME, tmp_path, {"MATRIX_ACCESS_TOKEN": "", "CREDENTIALS_DIRECTORY": ""})


def test_a_credentials_directory_may_lack_the_file(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "none"), "MATRIX_ACCESS_TOKEN": "env"}
    assert read_secret(NAME, tmp_path, environ).value == "env"


def test_a_missing_secret_is_said_with_every_place_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as error:
        read_secret(NAME, tmp_path, {})
    for word in (
        f"$CREDENTIALS_DIRECTORY/{NAME}",
        "$MATRIX_ACCESS_TOKEN",
        str(login_path(NAME, tmp_path)),
        "run `fleetchat login`",
    ):
        assert word in str(error.value)


def test_a_refreshed_token_outranks_the_one_it_came_from_however_often(tmp_path: Path) -> None:
    environ = credential(tmp_path / "c", '{"access_token": "first", "refresh_token": "r1"}')
    for number in range(3):
        secret = read_secret(NAME, tmp_path, environ)
        assert secret.value == ("first" if number == 0 else f"token{number - 1}")
        store_login(NAME, tmp_path, secret.refreshed(f"token{number}", expires_at=12.5))
    last = read_secret(NAME, tmp_path, environ)
    assert (last.value, last.refresh_token, last.expires_at) == ("token2", "r1", 12.5)
    # The operator put another token there: that is the newer word.
    assert read_secret(NAME, tmp_path, credential(tmp_path / "c", "other")).value == "other"


def test_a_login_of_its_own_does_not_outrank_a_configured_token(tmp_path: Path) -> None:
    store_login(NAME, tmp_path, Secret("login"))
    assert read_secret(NAME, tmp_path, {"MATRIX_ACCESS_TOKEN": "env"}).value == "env"


def test_a_refreshed_login_stays_a_login(tmp_path: Path) -> None:
    store_login(NAME, tmp_path, Secret("one", refresh_token="r1", device_id="D"))
    first = read_secret(NAME, tmp_path, {})
    store_login(NAME, tmp_path, first.refreshed("two", refresh_token="r2", expires_at=9.0))
    again = read_secret(NAME, tmp_path, {})
    assert (again.value, again.refresh_token, again.device_id) == ("two", "r2", "D")
    assert again.replaces is None


def test_a_login_remembers_whose_it_is_and_so_does_its_successor(tmp_path: Path) -> None:
    servers = ("example.org", "https://matrix.example.org/")
    store_login(NAME, tmp_path, Secret("one", servers=servers).refreshed("two"))
    assert read_secret(NAME, tmp_path, {}).servers == servers
    # Who configures a token configures the server, too.
    copied = login_path(NAME, tmp_path).read_bytes()
    assert read_secret(NAME, tmp_path, credential(tmp_path / "c", copied)).servers == ()


@pytest.mark.parametrize(
    "server",
    [
        "HTTPS://Matrix.Example.org:443/",
        "https://matrix.example.org/behind/a/path",
        "matrix.example.org",
        "Example.org",
        "https://example.org",
    ],
)
def test_whatever_means_the_same_server_a_login_is_for_it(server: str) -> None:
    assert Secret("x", servers=("example.org", "https://matrix.example.org")).is_for(server)
    assert Secret("x").is_for(server), "nobody knows of what an earlier version has stored"


@pytest.mark.parametrize(
    "server",
    [
        "http://matrix.example.org",
        "https://matrix.example.org:8448",
        "https://matrix.example.org.evil.example",
        "https://evil.example/matrix.example.org",
        "org",
        "https://[matrix.example.org",
        "https://matrix.example.org:99999",
        "",
    ],
)
def test_a_login_is_for_no_other_server_or_port_or_way(server: str) -> None:
    login = Secret("x", servers=("example.org", "https://matrix.example.org"))
    assert not login.is_for(server)
    assert login.is_for(server, "example.org"), "one of its names is enough"


def test_a_login_response_is_taken_as_it_is(tmp_path: Path) -> None:
    response = {
        "access_token": "syt_x",
        "refresh_token": "syr_y",
        "device_id": "DEV",
        "expires_in_ms": 300000,
        "user_id": "@a:b",
    }
    secret = read_secret(NAME, tmp_path, {"MATRIX_ACCESS_TOKEN": json.dumps(response, indent=1)})
    assert (secret.value, secret.refresh_token, secret.device_id) == ("syt_x", "syr_y", "DEV")
    assert secret.expires_at is None  # nobody knows when that login was
    assert secret.source == "$MATRIX_ACCESS_TOKEN"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_one_trailing_newline_is_no_part_of_the_token(tmp_path: Path, ending: str) -> None:
    assert (
        read_secret(NAME, tmp_path, credential(tmp_path / "c", "syt_x" + ending)).value == "syt_x"
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\n",
        b"hunter2 hunter2",
        b"hunter2\n\n",
        b" hunter2",
        b"hunter2\x00",
        b"hunter2\x1b[31m",
        "hunter2é".encode(),
        b"hunter2\xff",
        b"hunter2" * 2000,
        b"h" * 100_000,
        b'{"access_token": "hunter2"',
        b'{"access_token": 5}',
        b'{"access_token": "hunter 2"}',
        b'{"access_token": "a", "refresh_token": "hunter 2"}',
        b'{"access_token": "a", "refresh_token": ["hunter2"]}',
        b'{"access_token": "a", "expires_at": "hunter2"}',
        b'{"access_token": "a", "servers": "hunter2"}',
        b'{"access_token": "a", "servers": [["hunter2"]]}',
        b'{"hunter2": 1}',
        b'{"a":' * 8000,
    ],
)
def test_a_malformed_secret_is_refused_by_place_and_never_shown(
    tmp_path: Path, value: bytes
) -> None:
    with pytest.raises(SecretError) as error:
        read_secret(NAME, tmp_path, credential(tmp_path / "c", value))
    assert str(tmp_path / "c" / NAME) in str(error.value)
    assert "hunter" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_malformed_secret_does_not_give_way_to_the_next_place(tmp_path: Path) -> None:
    environ = credential(tmp_path / "c", "") | {"MATRIX_ACCESS_TOKEN": "env"}
    with pytest.raises(SecretError):
        read_secret(NAME, tmp_path, environ)


def test_a_credential_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(SecretError, match="cannot read the secret"):
        read_secret(NAME, tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_nothing_that_prints_a_secret_shows_it() -> None:
    secret = Secret("hunter2", refresh_token="hunter3", replaces="hunter4", source="$X")
    for text in (repr(secret), str(secret), f"{secret}"):
        assert "hunter" not in text
        assert "$X" in text


def test_a_stored_login_is_its_owners_alone(tmp_path: Path) -> None:
    state = tmp_path / "a" / "state"
    old = os.umask(0)
    try:
        store_login(NAME, state, Secret("x"))
    finally:
        os.umask(old)
    path = login_path(NAME, state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_stores_belongs_to_the_state_directorys_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    path = login_path(NAME, tmp_path / "not" / "there" / "yet")
    store_login(NAME, path.parent.parent, Secret("x"))
    while path != tmp_path:
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
        path = path.parent


def test_a_failed_store_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_login(NAME, tmp_path, Secret("old"))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SecretError, match="No space left on device; make room"):
        store_login(NAME, tmp_path, Secret("new"))
    assert read_secret(NAME, tmp_path, {}).value == "old"
    assert os.listdir(login_path(NAME, tmp_path).parent) == [f"{NAME}.json"]


def test_a_login_can_be_removed_and_it_says_whether_there_was_one(tmp_path: Path) -> None:
    store_login(NAME, tmp_path, Secret("x"))
    assert remove_login(NAME, tmp_path) is True
    assert remove_login(NAME, tmp_path) is False


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "a\n"])
def test_a_secrets_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecretError, match="as a secret's name"):
        read_secret(name, tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b'{"access_token": "a", "expires_at": 1e999}')
@example(b'{"access_token": "a", "expires_at": 1' + b"0" * 400 + b"}")
@example(b'{"access_token": "\\ud800"}')
@example(b"{" + b"9" * 5000)
def test_whatever_a_credential_holds_it_is_a_secret_or_a_secret_error(
    tmp_path: Path, value: bytes
) -> None:
    environ = credential(tmp_path / "c", value)
    try:
        secret = read_secret(NAME, tmp_path, environ)
    except SecretError:
        return
    assert secret.value.isascii()
    assert secret.value.isprintable()


async def test_a_login_is_exchanged_by_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        async with exchange(tmp_path):
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    await asyncio.gather(work("a"), work("b"))
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


async def test_an_exchange_that_hangs_keeps_nobody_from_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_EXCHANGE_TRIES", 2)
    async with exchange(tmp_path), exchange(tmp_path):
        pass


async def test_an_exchange_needs_no_state_directory_and_makes_none(tmp_path: Path) -> None:
    async with exchange(tmp_path / "none"):
        pass
    assert os.listdir(tmp_path) == []
