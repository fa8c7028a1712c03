"""The handle of the scripted homeserver (homeserver.py), which runs as a process of its own."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any, Self

from bench.procs import Child


class HomeServer:
    """Starts the scripted homeserver and gives it orders."""

    def __init__(self) -> None:
        self._child = Child([sys.executable, "-m", "bench.homeserver"])
        self.url = f"http://127.0.0.1:{self._child.line()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stop()

    def begin(self, order: str, **arguments: Any) -> None:
        """Give an order without waiting for its answer; `done` fetches that."""
        self._child.order(json.dumps({"do": order, **arguments}))

    def done(self) -> Any:
        """The answer to the order that was begun."""
        return json.loads(self._child.line())

    def tell(self, order: str, **arguments: Any) -> Any:
        """Give an order and return its answer."""
        self.begin(order, **arguments)
        return self.done()
