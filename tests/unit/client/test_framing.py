from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.client.framing import (
    Body,
    ChunkedBody,
    LineSplitter,
    MalformedAnswerError,
    SizedBody,
    parse_head,
)

CHUNKS = st.lists(st.binary(min_size=1, max_size=300), max_size=12)
CUTS = st.lists(st.integers(min_value=0, max_value=4000), max_size=40)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    return [data[a:b] for a, b in pairwise(edges)]


def chunked(chunks: list[bytes], extension: bytes, trailers: bytes) -> bytes:
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(c), extension, c) for c in chunks)
    return body + b"0\r\n" + trailers + b"\r\n"


def feed_all(body: Body, pieces: list[bytes]) -> bytes:
    return b"".join(body.feed(piece) for piece in pieces)


@given(
    CHUNKS, CUTS, st.sampled_from([b"", b";a=b", b" "]), st.sampled_from([b"", b"X: y\r\nZ: \r\n"])
)
def test_chunks_give_the_same_body_however_the_bytes_are_cut(
    chunks: list[bytes], cuts: list[int], extension: bytes, trailers: bytes
) -> None:
    body = ChunkedBody()
    pieces = cut(chunked(chunks, extension, trailers), cuts)
    assert feed_all(body, pieces) == b"".join(chunks)
    assert body.ended


@given(CHUNKS, st.integers(min_value=1, max_value=400))
def test_a_chunked_body_that_lacks_its_end_has_not_ended(chunks: list[bytes], missing: int) -> None:
    whole = chunked(chunks, b"", b"")
    body = ChunkedBody()
    given_back = body.feed(whole[: max(0, len(whole) - missing)])
    assert not body.ended
    assert b"".join(chunks).startswith(given_back)


@given(st.binary(max_size=3000), CUTS)
def test_any_bytes_at_all_are_decoded_or_refused(data: bytes, cuts: list[int]) -> None:
    body = ChunkedBody()
    try:
        feed_all(body, cut(data, cuts))
    except MalformedAnswerError:
        return


@pytest.mark.parametrize(
    "raw",
    [b"xyz\r\n", b"\r\n", b"-1\r\n", b"0x10\r\n", b"1_0\r\n", b"f" * 9 + b"\r\n", b"1" * 2000],
)
def test_a_chunk_without_a_sane_size_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        ChunkedBody().feed(raw)


def test_a_chunk_that_outgrows_its_size_is_refused() -> None:
    with pytest.raises(MalformedAnswerError):
        ChunkedBody().feed(b"2\r\nabc\r\n")


@given(st.binary(max_size=500), st.binary(max_size=10), CUTS)
def test_a_sized_body_ends_at_its_size(content: bytes, surplus: bytes, cuts: list[int]) -> None:
    body = SizedBody(len(content))
    assert feed_all(body, cut(content + surplus, cuts)) == content
    assert body.ended


@given(st.lists(st.binary(max_size=50).filter(lambda b: b"\n" not in b), max_size=20), CUTS)
def test_lines_come_out_whole_however_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    splitter = LineSplitter()
    data = b"".join(line + b"\n" for line in lines)
    found = [line for piece in cut(data, cuts) for line in splitter.feed(piece)]
    assert found == [line for line in lines if line.strip()]


def test_a_line_without_its_newline_is_not_a_line_yet() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b'{"seq": 1') == []
    assert splitter.feed(b"}\n") == [b'{"seq": 1}']


def test_the_head_says_how_the_body_is_framed() -> None:
    status, body = parse_head(b"HTTP/1.1 200 OK\r\ntransfer-Encoding: Chunked")
    assert (status, type(body)) == (200, ChunkedBody)
    status, body = parse_head(b"HTTP/1.1 404\r\nCONTENT-LENGTH:  3")
    assert (status, body.feed(b"abcdef"), body.ended) == (404, b"abc", True)
    status, body = parse_head(b"HTTP/1.0 200 OK\r\nX: y")
    assert (status, body.ends_with_connection) == (200, True)
    assert parse_head(b"HTTP/1.1 204 No Content")[1].ended


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2",
        b"HTTP/1.1",
        b"HTTP/1.1 2x0 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e3",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000,
    ],
)
def test_what_is_no_http_answer_is_refused(head: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        parse_head(head)


def test_a_line_without_an_end_is_given_up_before_it_fills_the_memory() -> None:
    splitter = LineSplitter(limit_bytes=10)
    assert splitter.feed(b"0123456789") == []
    assert splitter.feed(b"\n01234") == [b"0123456789"]
    with pytest.raises(MalformedAnswerError, match="a line has no end"):
        splitter.feed(b"567890")
