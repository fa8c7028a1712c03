"""HTTP/1.1 over the daemon's Unix socket: connect, ask, read the answer.

One connection carries one request: on a Unix socket another one costs a tenth of a millisecond,
and no idle connection can turn out to be dead when an answer matters.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

from fleetchatd.client.connection import PATIENCE_S, connect
from fleetchatd.client.errors import (
    ConnectionBrokenError,
    RefusedError,
    UsageError,
)
from fleetchatd.client.framing import (
    HEAD_LIMIT_BYTES,
    LineSplitter,
    MalformedAnswerError,
    parse_head,
)
from fleetchatd.places import socket_candidates

ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
"""Of an answer taken as a whole. A list of the usual length, of the longest texts, has less."""

_READ_BYTES = 65_536


class Answer:
    """A complete answer that is not an error."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.text = body.decode("utf-8", "replace")

    def json(self) -> dict[str, object]:
        """The object in it.

        Raises:
            ConnectionBrokenError: there is none.
        """
        return parse_object(self.text)


class Stream:
    """An answer that arrives bit by bit; ends with `close` or as a context manager."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        head, begun = self._head()
        try:
            self.status, self._body = parse_head(head)
        except MalformedAnswerError as error:
            raise _senseless(error) from None
        self._begun = begun

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def pieces(self, patience_s: float | None = PATIENCE_S) -> Iterator[bytes]:
        """The body as it arrives, up to its proper end.

        Args:
            patience_s: the longest silence to bear; None bears any.

        Raises:
            ConnectionBrokenError: it ended before its end, or the silence lasted too long.
        """
        self._connection.settimeout(patience_s)
        data = self._begun
        while True:
            try:
                piece = self._body.feed(data)
            except MalformedAnswerError as error:
                raise _senseless(error) from None
            if piece:
                yield piece
            if self._body.ended:
                return
            data = self._receive()
            if not data:
                if self._body.ends_with_connection:
                    return
                raise ConnectionBrokenError("the connection broke in the middle of the answer")

    def whole(self, patience_s: float | None = PATIENCE_S) -> bytes:
        """All of the body; raises as `pieces` does, and if it is too much."""
        body = bytearray()
        for piece in self.pieces(patience_s):
            body += piece
            if len(body) > ANSWER_LIMIT_BYTES:
                raise ConnectionBrokenError(
                    f"cannot take the answer: it has more than {ANSWER_LIMIT_BYTES >> 20} MiB; ask"
                    " for less (--limit), and see that it is fleetchatd that listens on this socket"
                )
        return bytes(body)

    def batches(self, patience_s: float | None = None) -> Iterator[list[str]]:
        """The lines of the body, in batches: what is here, without waiting for more."""
        splitter = LineSplitter()
        for piece in self.pieces(patience_s):
            try:
                lines = splitter.feed(piece)
            except MalformedAnswerError as error:
                raise _senseless(error) from None
            if lines:
                yield [line.decode("utf-8", "replace") for line in lines]

    def _head(self) -> tuple[bytes, bytes]:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > HEAD_LIMIT_BYTES:
                raise _senseless("its head has no end")
            more = self._receive()
            if not more:
                raise ConnectionBrokenError("the connection broke before the answer")
            data += more
        return bytes(data[:end]), bytes(data[end + 4 :])

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(_READ_BYTES)
        except TimeoutError:
            wait_s = self._connection.gettimeout()
            raise ConnectionBrokenError(f"the daemon did not answer within {wait_s:g} s") from None
        except OSError as error:
            raise ConnectionBrokenError(f"the connection broke: {error.strerror}") from None


class Client:
    """The daemon, as its socket shows it."""

    def __init__(self, socket_option: str | None) -> None:
        self._socket_option = socket_option

    def ask(
        self,
        method: str,
        path: str,
        body: dict[str, object] | None = None,
        *,
        headers: str = "",
        patience_s: float = PATIENCE_S,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """Make a request and return the whole answer.

        Args:
            method: the HTTP method.
            path: path and query, already quoted.
            body: is sent as JSON.
            headers: more header lines, each ended by CRLF.
            patience_s: the longest silence to bear.
            accept: error statuses to return all the same, unless with a problem (RFC 9457).

        Raises:
            NoDaemonError: no socket could be opened.
            ConnectionBrokenError: whether the request was carried out is not known.
            RefusedError: the daemon answered with an error status.
        """
        with self.open(
            method, path, body, headers=headers, patience_s=patience_s, accept=accept
        ) as stream:
            answer = Answer(stream.status, stream.whole(patience_s))
        if answer.status in accept and "kind" in answer.json():
            raise _refusal(answer.status, answer.text)
        return answer

    def open(
        self,
        method: str,
        path: str,
        body: dict[str, object] | None = None,
        *,
        headers: str = "",
        patience_s: float = PATIENCE_S,
        accept: tuple[int, ...] = (),
    ) -> Stream:
        """Make a request and return the answer once its head is here; raises as `ask` does."""
        request = _request(method, path, body, headers)
        connection = connect(socket_candidates(self._socket_option))
        try:
            connection.settimeout(patience_s)
            _send(connection, request)
            stream = Stream(connection)
            if stream.status not in accept:
                _check(stream)
        except BaseException:
            connection.close()
            raise
        return stream


def parse_object(text: str) -> dict[str, object]:
    """A JSON object of the daemon's.

    Raises:
        ConnectionBrokenError: it is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _senseless("it is not a JSON object")
    return value


def quote(word: str) -> str:
    """`word` as one segment of a path or one value of a query.

    Raises:
        UsageError: it was not valid UTF-8 on the command line.
    """
    from urllib.parse import quote as percent_encoded  # `send` needs it seldom

    try:
        return percent_encoded(word, safe="")
    except UnicodeEncodeError:
        raise _not_utf8() from None


def query(**values: object) -> str:
    """`?name=value&…` of those that are not None, or ""; a trailing `_` in a name is dropped."""
    pairs = [
        f"{name.rstrip('_')}={quote(str(value))}"
        for name, value in values.items()
        if value is not None
    ]
    return "?" + "&".join(pairs) if pairs else ""


def _request(method: str, path: str, body: dict[str, object] | None, headers: str) -> bytes:
    content = b""
    if body is not None:
        try:
            content = json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _not_utf8() from None
        headers += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: fleetchat\r\nConnection: close\r\n{headers}\r\n"
    return head.encode("ascii") + content


def _send(connection: socket.socket, request: bytes) -> None:
    try:
        connection.sendall(request)
    except TimeoutError:
        raise ConnectionBrokenError("the daemon did not take the request in time") from None
    except OSError:
        # It hung up while we were talking, perhaps after saying why ("too large"): look.
        return


def _check(stream: Stream) -> None:
    if stream.status >= 400:
        raise _refusal(stream.status, stream.whole().decode("utf-8", "replace"))


def _refusal(status: int, text: str) -> RefusedError:
    try:
        problem = parse_object(text)
    except ConnectionBrokenError:
        problem = {}
    kind = problem.get("kind")
    told = problem.get("detail") or problem.get("title")
    detail = str(told or f"the daemon answered with HTTP status {status}")
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if str(error) not in detail:
            detail += f"\n{error}"
    return RefusedError(status, kind if isinstance(kind, str) else "", detail)


def _senseless(why: object) -> ConnectionBrokenError:
    return ConnectionBrokenError(
        f"cannot understand the answer: {why}; is it fleetchatd that listens on this socket?"
    )


def _not_utf8() -> UsageError:
    return UsageError("cannot send this: it is not valid UTF-8; check the text's encoding")
