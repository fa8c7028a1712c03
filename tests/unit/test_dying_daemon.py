"""The process dies exactly where it was told to: the kill-point tests stand on this."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.dying_daemon import arm

VICTIM = """
import asyncio

def work(text):
    print(text, flush=True)

class Journal:
    def commit(self, text):
        work(text)
    @classmethod
    def open(cls, text):
        work(text)
    @staticmethod
    def close(text):
        work(text)
    async def save(self, text):
        work(text + "-begun")
        await asyncio.sleep(0)
        work(text + "-ended")
    def later(self, text):
        future = asyncio.get_running_loop().create_future()
        def finish():
            work(text + "-done")
            future.set_result(None)
        asyncio.get_running_loop().call_soon(finish)
        work(text + "-returned")
        return future
"""


@pytest.mark.parametrize(
    ("when", "target", "call", "seen"),
    [
        ("before", "victim:work", "work('one'); work('two')", ["one"]),
        ("after", "victim:work", "work('one'); work('two'); work('three')", ["one", "two"]),
        ("after", "victim:Journal.commit", "[j.commit(t) for t in '123']", ["1", "2"]),
        ("before", "victim:Journal.open", "[Journal.open(t) for t in '123']", ["1"]),
        ("before", "victim:Journal.close", "[j.close(t) for t in '123']", ["1"]),
        (
            "before",
            "victim:Journal.save",
            "await j.save('1'); await j.save('2')",
            ["1-begun", "1-ended"],
        ),
        (
            "after",
            "victim:Journal.save",
            "await j.save('1'); await j.save('2'); work('no')",
            ["1-begun", "1-ended", "2-begun", "2-ended"],
        ),
        (
            "after",
            "victim:Journal.later",
            "await j.later('1'); await j.later('2')",
            ["1-returned", "1-done", "2-returned"],
        ),
        (
            "done",
            "victim:Journal.later",
            "await j.later('1'); await j.later('2'); work('no')",
            ["1-returned", "1-done", "2-returned", "2-done"],
        ),
    ],
)
def test_it_dies_at_the_second_call_and_not_a_step_sooner_or_later(
    tmp_path: Path, when: str, target: str, call: str, seen: list[str]
) -> None:
    (tmp_path / "victim.py").write_text(VICTIM)
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(tmp_path)!r})
from tests.harness.dying_daemon import arm
arm({when!r}, {target!r}, 2)
from victim import Journal, work
j = Journal()
async def main():
    {call}
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert ran.stdout.split() == seen
    assert ran.returncode == -signal.SIGKILL
    assert ran.stderr == f"dying {when} {target} call 2\n"


def test_a_target_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemExit, match="cannot kill at json:no_such_thing"):
        arm("before", "json:no_such_thing", 1)
