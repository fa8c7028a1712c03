"""What no honest client sends: always a problem or a closed connection, never a traceback."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.daemon import Daemon
from tests.harness.raw_http import RawAnswer, exchange
from tests.harness.rooms import MakeDaemon

GET = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"text":"a"}'
SENT = POST + b"Content-Length: 12\r\n\r\n" + BODY


@pytest_asyncio.fixture
async def daemon(make_daemon: MakeDaemon) -> AsyncIterator[Daemon]:
    """A daemon that must be well, and have nothing to complain of, when the test is over."""
    made = make_daemon()
    await made.start()
    yield made
    assert (await made.api.health())["status"] == "ok"
    assert "Traceback" not in made.log_text
    assert '"level":"error"' not in made.log_text
    assert await made.terminate() == 0


async def shot(daemon: Daemon, content: bytes) -> RawAnswer:
    """Send it; whatever comes back must be a proper problem, or nothing and the end."""
    answer = await exchange(daemon.socket, content)
    if answer.status is None:
        assert answer.closed, answer
        assert answer.content == b""
    elif answer.status >= 400:
        problem = answer.problem
        assert problem["status"] == answer.status < 500
        assert problem["title"]
        assert problem["detail"]
        assert problem["kind"]
    return answer


NOT_HTTP = [
    b"\x00\x01\x02\r\n\r\n",
    b"\r\n\r\nhello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /v1/health HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /v1/health HTTP/1.1\nHost: x\n\n",
    b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/messages/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/messages?thread_id=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"DELETE /v1/messages/\xc3( HTTP/1.1\r\nHost: x\r\n\r\n",
    b"F\x00O /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://a:99999999/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    GET + b"X: a\r\n b\r\n\r\n",
    GET + b"no colon\r\n\r\n",
    GET + b": nameless\r\n\r\n",
    GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    POST + b"Content-Length: -3\r\n\r\nabc",
    POST + b"Content-Length: 1e3\r\n\r\nabc",
    POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: junk\r\n\r\nabc",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nfoo\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nfooXXXX\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    POST + b"Content-Encoding: deflate\r\nContent-Length: 3\r\n\r\nabc",
    POST + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
]


ODD_TARGETS = {
    b"/v1/messages/%00": 404,
    b"/v1/messages/%ff": 404,
    b"/v1/messages/%ed%a0%80": 404,
    b"/v1/messages/%zz": 404,
    b"/v1/messages/%2e%2e": 404,
    b"/v1/messages/" + b"a" * 4000: 404,
    b"/v1/%68ealth": 200,
    b"/v1/health/": 404,
    b"//v1/health": 404,
    b"/v1/../v1/health": 404,
    b"/": 404,
    b"*": 400,
    b"http://fleetchat/v1/health": 200,
    b"http://fleetchat:80/v1/health?x=1": 400,
    b"/v1/health?": 200,
    b"/v1/health?%ff=1": 400,
    b"/v1/openapi.json?pretty=1": 400,
    b"/v1/health#x": 200,
    b"/v1/messages?limit=%31": 200,
    b"/v1/messages?limit=+1": 400,
    b"/v1/messages?limit=%D9%A1": 400,  # an Arabic one
    b"/v1/messages?limit=" + b"9" * 6000: 400,
    b"/v1/messages?thread_id=%00": 200,
    b"/v1/messages?thread_id=%ed%a0%80": 200,
    b"/v1/messages?before=%ff": 404,
    b"/v1/events?subscriber=%00": 400,
    b"/v1/events?subscriber=a%0A": 400,
    b"/v1/events?follow=false&after=" + b"9" * 6000: 400,
}
BAD_NAMES = [b"%00", b"a%0a", b"a%20b", b"%ff", b"a" * 65, b"%E2%84%A2", b"~"]


async def test_what_is_no_request_is_400_and_the_end_of_the_connection(daemon: Daemon) -> None:
    for content in NOT_HTTP:
        answer = await shot(daemon, content)
        assert answer.status in (400, None), (content[:100], answer)
        assert answer.closed, (content[:100], answer)


async def test_odd_targets_are_taken_for_what_they_are(daemon: Daemon) -> None:
    for target, status in ODD_TARGETS.items():
        answer = await shot(
            daemon, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.status == status, (target[:100], answer)


@pytest.mark.parametrize("method", [b"DELETE /v1/subscribers/%s", b"POST /v1/subscribers/%s/ack"])
async def test_bad_subscriber_names_are_400_wherever_they_stand(
    daemon: Daemon, method: bytes
) -> None:
    for name in BAD_NAMES:
        answer = await shot(
            daemon, method % name + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert (answer.status, answer.problem["kind"]) == (400, "bad-name")


async def test_a_method_that_a_path_does_not_take_is_405_and_names_those_it_does(
    daemon: Daemon,
) -> None:
    for method in (b"PUT", b"PATCH", b"OPTIONS", b"TRACE", b"DELETE", b"POST"):
        answer = await shot(
            daemon, method + b" /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.status == 405
        assert b"Allow: GET, HEAD\r\n" in answer.header
    for unknown in (b"BREW", b"get"):
        answer = await shot(
            daemon, unknown + b" /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.status == 400


async def test_head_is_the_header_alone_and_does_nothing(daemon: Daemon) -> None:
    await daemon.api.send("there is something to read", wait_s=5)
    for path in (b"health", b"messages", b"events?after=0", b"events?subscriber=new"):
        request = b"HEAD /v1/" + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await shot(daemon, request + request)
        assert answer.content.count(b"HTTP/1.1 200 OK") == 2
        assert b'"' not in answer.content
    assert await daemon.api.subscribers() == []


async def test_http_1_0_is_answered_and_closed(daemon: Daemon) -> None:
    await daemon.api.send("there is something to read", wait_s=5)
    answer = await shot(daemon, b"GET /v1/health HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.closed) == (200, True)
    answer = await shot(daemon, b"GET /v1/events?after=0&follow=false HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.closed) == (200, True)
    assert answer.body.startswith(b'{"seq":1,')


async def test_expect_100_continue_is_answered_before_the_body(daemon: Daemon) -> None:
    header = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket))
    writer.write(header % len(BODY))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert (await reader.readline()).startswith(b"HTTP/1.1 202 ")
    writer.close()
    too_much = await shot(daemon, header % (1 << 21))
    assert (too_much.status, too_much.problem["kind"]) == (413, "too-large")


async def test_expect_100_continue_of_http_1_0_is_not_answered(daemon: Daemon) -> None:
    request = b"POST /v1/messages HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n"
    answer = await shot(daemon, request + BODY)
    assert answer.content.startswith(b"HTTP/1.0 202 ")


async def test_pipelined_requests_are_answered_in_order(daemon: Daemon) -> None:
    answer = await shot(
        daemon, SENT + GET + b"\r\n" + b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert [line.split()[1] for line in answer.content.split(b"\r\n") if b"HTTP/1.1" in line] == [
        b"202",
        b"200",
        b"404",
    ]


async def test_chunks_of_one_byte_are_a_body(daemon: Daemon) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    answer = await shot(
        daemon, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    )
    assert answer.status == 202


async def test_a_body_that_never_ends_is_413(daemon: Daemon) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = await shot(daemon, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40)
    assert answer.status in (413, None)  # it may not wait for us to have written all of it


async def test_a_body_that_is_cut_off_is_no_message(daemon: Daemon) -> None:
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket))
    writer.write(POST + b"Content-Length: 30\r\n\r\n" + BODY)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert await daemon.api.history() == []


async def test_two_hundred_connections_that_dribble_hold_up_nobody(daemon: Daemon) -> None:
    writers = []
    for _ in range(200):
        _, writer = await asyncio.open_unix_connection(str(daemon.socket))
        writer.write(POST + b"Content-Len")
        writers.append(writer)
    async with asyncio.timeout(5):
        await daemon.api.send("through", wait_s=5)
    for writer in writers:
        writer.close()


async def test_hundreds_of_mangled_requests_leave_it_well(daemon: Daemon) -> None:
    dice = random.Random(20261123)
    requests = [
        SENT,
        GET + b"\r\n",
        b"GET /v1/events?after=0&follow=false HTTP/1.1\r\nHost: x\r\n\r\n",
        b'POST /v1/subscribers/a/ack HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"seq":1}',
        b"DELETE /v1/subscribers/a HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nc\r\n" + BODY + b"\r\n0\r\n\r\n",
    ]

    async def one(content: bytes) -> None:
        # Ended, or else what was cut off would be waited for.
        reader, writer = await asyncio.open_unix_connection(str(daemon.socket))
        writer.write(content)
        writer.write_eof()
        async with asyncio.timeout(20):
            try:
                answer = RawAnswer(await reader.read(), closed=True)
            except ConnectionError:
                return
            finally:
                writer.close()
        assert answer.status is None or answer.status < 500, (content, answer)

    for _ in range(20):
        await asyncio.gather(*(one(mangled(dice, dice.choice(requests))) for _ in range(20)))


def mangled(dice: random.Random, content: bytes) -> bytes:
    """Some bytes changed, dropped, doubled or put in; then perhaps cut off."""
    raw = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(raw))
        match dice.randrange(4):
            case 0:
                raw[at] = dice.randrange(256)
            case 1:
                del raw[at]
            case 2:
                raw[at:at] = raw[at : at + dice.randint(1, 20)]
            case 3:
                raw[at:at] = dice.choice([b"\r\n", b"\x00", b"%00", b"\xff", b"{" * 50, b'"'])
    return bytes(raw[: dice.choice([len(raw), dice.randint(1, len(raw))])])
