"""The daemon in a process that kills itself at a chosen call: for tests of kill points.

    dying_daemon.py --die before|after|done TARGET NTH [--die …] [--as MODULE] -- ARGUMENTS…

TARGET is `package.module:function` or `package.module:Class.method`, sync or async. `before` dies
as its NTH call begins; `after` when that call has returned (an async one: when it was awaited to
its end); `done` when the future that it returned is done. An exception counts as a return.

The target is wrapped before the daemon's other modules are imported, so a module that says
`from x import f` gets the wrapped one, unless `x` itself imports that module. The production code
knows nothing of this. `--as` names another program's module with a `main`: the client's, say.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

MOMENTS = ("before", "after", "done")


class Reaper:
    """Counts calls of one target and kills the process at the chosen one."""

    def __init__(self, when: str, target: str, nth: int) -> None:
        self.when = when
        self._target = target
        self._nth = nth
        self._calls = itertools.count(1)  # next() is atomic: calls may come from any thread

    def is_due(self) -> bool:
        return next(self._calls) == self._nth

    def strike(self, *_: object) -> None:
        """Say where, then die of SIGKILL: no handler runs, nothing is flushed."""
        os.write(2, f"dying {self.when} {self._target} call {self._nth}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def wrap(function: Callable[..., Any], reaper: Reaper) -> Callable[..., Any]:
    """The same function, deadly at one of its calls."""

    @functools.wraps(function)
    def sync_wrapper(*args: Any, **kwargs: Any) -> Any:
        due = reaper.is_due()
        if due and reaper.when == "before":
            reaper.strike()
        try:
            result = function(*args, **kwargs)
        except BaseException:
            if due:
                reaper.strike()
            raise
        if due and reaper.when == "after":
            reaper.strike()
        if due:
            asyncio.ensure_future(result).add_done_callback(reaper.strike)  # noqa: TID251
        return result

    @functools.wraps(function)
    async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
        due = reaper.is_due()
        if due and reaper.when == "before":
            reaper.strike()
        try:
            return await function(*args, **kwargs)
        finally:
            if due:
                reaper.strike()

    return async_wrapper if inspect.iscoroutinefunction(function) else sync_wrapper


def arm(when: str, target: str, nth: int) -> None:
    """Replace the target by its deadly twin.

    Raises:
        SystemExit: there is no such function, or it cannot be replaced.
    """
    module_name, _, attribute = target.partition(":")
    *path, name = attribute.split(".")
    try:
        owner: Any = importlib.import_module(module_name)
        for part in path:
            owner = getattr(owner, part)
        found = inspect.getattr_static(owner, name)
        kind = type(found) if isinstance(found, staticmethod | classmethod) else None
        deadly = wrap(found.__func__ if kind else found, Reaper(when, target, nth))
        setattr(owner, name, kind(deadly) if kind else deadly)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise SystemExit(f"cannot kill at {target}: {error}; name module:Class.method") from error


def main() -> None:
    """Arm every `--die`, then be the daemon, or another program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--die", nargs=3, action="append", required=True, metavar=("MOMENT", "TARGET", "NTH")
    )
    parser.add_argument("--as", dest="module", default="fleetchatd.__main__", metavar="MODULE")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    for when, target, nth in options.die:
        if when not in MOMENTS:
            parser.error(f"cannot die {when}: say {', '.join(MOMENTS)}")
        arm(when, target, int(nth))
    program = importlib.import_module(options.module)
    sys.argv = [options.module, *(text for text in options.arguments if text != "--")]
    sys.exit(program.main())


if __name__ == "__main__":
    main()
