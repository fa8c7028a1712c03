"""Logging in and out, where it takes no server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fleetchatd.client.main import main
from fleetchatd.model import Secret
from fleetchatd.secrets import login_path, store_login
from fleetchatd.setup import credentials

NAME = "matrix_access_token"


async def test_ctrl_c_ends_it_also_just_before_the_password_is_read() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()  # as asyncio does at a SIGINT
    with pytest.raises(KeyboardInterrupt):
        credentials.read("password")
    with pytest.raises(asyncio.CancelledError):  # what asyncio had in mind
        await asyncio.sleep(0)
    task.uncancel()


def test_no_login_is_ended_that_cannot_be_removed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store_login(NAME, tmp_path, Secret("x" * 20, servers=("http://127.0.0.1:1",)))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert main(["logout", "matrix", "--state-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"cannot write {login_path(NAME, tmp_path)}" in said
    assert "cannot reach" not in said
