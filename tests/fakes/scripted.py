"""What scripted servers share: what they were asked, and what they are made to do wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fnmatch import fnmatchcase

from aiohttp import web

from tests.fakes.calls import Answer, Call, ConnectionDropped, cut
from tests.fakes.faults import Action, Fault, Hold
from tests.harness.waiting import eventually


class Scripted(ABC):
    """A server whose every request is noted, and may meet a fault.

    Attributes:
        calls: every request it ever got, in order.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._faults: list[Fault] = []
        self._runner: web.AppRunner | None = None

    async def _listen(self, app: web.Application, port: int) -> int:
        """Serve `app` on loopback, and everything else by `_answer`; returns the port."""
        app.router.add_route("*", "/{any:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and drop every connection; what it knows stays."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # Faults

    def fail(
        self, method: str, path: str, action: Action, *, nth: int = 1, times: int | None = 1
    ) -> Fault:
        """Have `action` for the `nth` matching request from now on and those after it.

        Args:
            method: of HTTP.
            path: a glob over the decoded path, such as `*/send/*`.
            action: one of faults.py, for example.
            nth: which one is the first.
            times: for so many requests; None for all.
        """
        fault = Fault(method, path, action, nth, times)
        self._faults.append(fault)
        return fault

    def hold(self, method: str, path: str, *, answered: bool = False, nth: int = 1) -> Hold:
        """Hold matching requests, before they are processed or (`answered`) after it."""
        hold = Hold()
        self.fail(method, path, hold.after if answered else hold.before, nth=nth, times=None)
        return hold

    def mend(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    # What was asked

    def calls_to(self, method: str, path: str) -> list[Call]:
        """The requests so far that match two globs, of the method and of the path."""
        return [
            call for call in self.calls if call.method == method and fnmatchcase(call.path, path)
        ]

    async def called(
        self, method: str, path: str, count: int = 1, timeout_s: float = 20.0
    ) -> list[Call]:
        """Wait until at least `count` such requests have come; return them."""

        async def probe() -> list[Call] | None:
            found = self.calls_to(method, path)
            return found if len(found) >= count else None

        what = f"{count} times {method} {path}"
        return await eventually(what, probe, timeout_s=timeout_s, pause_s=0.01)

    # Serving

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = await Call.read(request)
        self.calls.append(call)
        # The first fault that takes the request; each one that matches counts it.
        taking = [fault for fault in self._faults if fault.takes(call)]
        try:
            if taking:
                answer = await taking[0].action(call, lambda: self._answer(call))
            else:
                answer = await self._answer(call)
        except ConnectionDropped as dropped:
            return await cut(request, dropped.partial)
        call.status = answer.status
        headers = self._headers(answer)
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    def _headers(self, answer: Answer) -> Mapping[str, str]:
        return answer.headers

    @abstractmethod
    async def _answer(self, call: Call) -> Answer:
        """What an honest server says."""
