from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.connectors import pauses
from fleetchatd.connectors.pauses import LONGEST_S, Pauses, pause_s


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_pause_is_never_nothing_and_never_over_the_longest(failures: int, jitter: float) -> None:
    assert 0.25 <= pause_s(failures, jitter) <= LONGEST_S


def test_pauses_double_until_the_longest() -> None:
    assert [pause_s(failures, 1.0) for failures in (1, 2, 3, 6, 7, 8)] == [0.5, 1, 2, 16, 30, 30]
    assert pause_s(3, 0.0) == 1


async def test_success_of_one_direction_ends_the_pause_of_the_other() -> None:
    shared = Pauses()
    shared.failures = 20
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(shared.wait())
        await asyncio.sleep(0)
        assert shared.failures == 22
        shared.succeeded()
    assert shared.failures == 0


async def test_success_before_a_failure_shortens_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 0.1)
    shared = Pauses()
    shared.succeeded()
    began = asyncio.get_running_loop().time()
    await shared.wait()
    assert asyncio.get_running_loop().time() - began >= 0.045


async def test_what_fails_while_the_other_direction_works_is_not_tried_at_every_success() -> None:
    shared = Pauses()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.wait())
        await asyncio.sleep(0)
        shared.succeeded()
    assert loop.time() - began >= 0.24


async def test_what_the_server_asks_for_is_kept_whatever_succeeds() -> None:
    shared = Pauses()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.wait(at_least_s=0.6))
        await asyncio.sleep(0)
        shared.succeeded()
    assert loop.time() - began >= 0.59


async def test_a_server_that_asks_for_no_pause_gets_one_all_the_same() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await Pauses().wait(at_least_s=0.0)
    assert loop.time() - began >= 0.24
