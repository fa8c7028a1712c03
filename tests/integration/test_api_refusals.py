"""Requests that are refused: status and kind say why (contract §3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness.api import ApiError
from tests.harness.daemon import Daemon
from tests.harness.raw_http import RawAnswer, exchange

NO_TEXTS: list[Any] = [None, 7, [], {}, True]
NO_IDS: list[Any] = ["", 7, 0.5, [], {}, "x" * 256, True]
NO_FORMATS: list[Any] = ["html", "", 7, ["plain"]]
NO_FLAGS: list[Any] = [0, 1, "true", []]
NO_TIMES: list[Any] = [0, -1, "5", True, 1e300, []]
MIB = 1 << 20


async def test_bodies_that_are_no_json_are_400(daemon: Daemon) -> None:
    for data in (
        b"",
        b"hi",
        b"{",
        b'{"text": "a"} x',
        b"{'text': 'a'}",
        b'{"text": NaN}',
        b'{"text": "a", "expires_s": Infinity}',
        b"\xef\xbb\xbf" + b'{"text": "a"}',
        b'{"text": "\xff"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "a\nb"}',
        '{"text": "a"}'.encode("utf-16"),
        b"[" * 200_000,
        b'{"text": ' * 100_000,
    ):
        assert await daemon.api.refusal(data=data) == (400, "not-json"), data[:40]


async def test_fields_that_are_bad_missing_or_unknown_are_422(daemon: Daemon) -> None:
    bodies: list[Any] = [
        *(None, [], "text", 7, True, {}),
        *({"text": value} for value in NO_TEXTS),
        {"text": "a", "txt": "b"},
        {"text": "a", "Text": "b"},
        {"text": "a", "\ud800": "b"},
        *({"text": "a", "thread_id": value} for value in NO_IDS),
        *({"text": "a", "reply_to": value} for value in NO_IDS),
        *({"text": "a", "format": value} for value in NO_FORMATS),
        *({"text": "a", "notice": value} for value in NO_FLAGS),
        *({"text": "a", "expires_s": value} for value in NO_TIMES),
    ]
    for body in bodies:
        refused = await daemon.api.refusal(data=json.dumps(body).encode())
        assert refused == (422, "bad-field"), body
    assert await daemon.api.refusal(data=b'{"text":"a","expires_s":1e999}') == (422, "bad-field")
    assert await daemon.api.history() == []


async def test_empty_text_is_422(daemon: Daemon) -> None:
    for text in ("", " ", "\n\t\r", "\u2003\u00a0"):
        assert await daemon.api.refusal(body={"text": text}) == (422, "empty-text")


async def test_lone_surrogates_are_422_and_pairs_are_characters(daemon: Daemon) -> None:
    for field in ("text", "thread_id", "reply_to"):
        for lone in (r"\ud800", r"\udfff", r"\ude00\ud83d"):
            data = json.dumps({"text": "a", field: "MARK"}).replace("MARK", "a" + lone).encode()
            assert await daemon.api.refusal(data=data) == (422, "lone-surrogate"), data
    reply = await daemon.api.request("POST", "/v1/messages", data=rb'{"text":"\ud83d\ude00"}')
    assert reply.body["text"] == "😀"


async def test_a_body_of_one_mebibyte_passes_and_one_more_byte_is_413(daemon: Daemon) -> None:
    async def post(path: bytes, size: int) -> RawAnswer:
        body = b'{"text":"%b"}' % (b"x" * (size - 11))
        head = b"POST %b?wait_s=10 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        return await exchange(daemon.socket, head % (path, size) + body)

    assert (await post(b"/v1/messages", MIB)).status == 200
    (message,) = await daemon.api.history()
    assert (len(message["text"]), message["state"]) == (MIB - 11, "delivered")
    refused = await post(b"/v1/messages", MIB + 1)
    assert (refused.status, refused.problem["kind"]) == (413, "too-large")


async def test_bad_query_values_are_400_and_say_what_was_meant(daemon: Daemon) -> None:
    for query in (
        *(f"wait_s={value}" for value in ("", "-1", "61", "60.1", "1e1", "nan", "%31x", "+1")),
        "wait_s=1&wait_s=2",
        "wait=1",
        "%00=1",
    ):
        reply = await daemon.api.request("POST", f"/v1/messages?{query}", {"text": "a"})
        assert (reply.status, reply.body["kind"]) == (400, "bad-query"), query
    reply = await daemon.api.request("POST", "/v1/messages?wait=1", {"text": "a"})
    assert "did you mean wait_s?" in reply.body["detail"]
    for query in ("limit=0", "limit=1001", "limit=x", "limit=1.0", "direction=up", "x=1"):
        reply = await daemon.api.request("GET", f"/v1/messages?{query}")
        assert (reply.status, reply.body["kind"]) == (400, "bad-query"), query
    assert await daemon.api.history() == []


async def test_the_content_type_is_not_looked_at(daemon: Daemon) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "junk", "multipart/"):
        reply = await daemon.api.request(
            "POST", "/v1/messages", data=b'{"text":"a"}', headers={"Content-Type": content_type}
        )
        assert reply.status == 202, content_type


async def test_what_is_not_known_is_404(daemon: Daemon) -> None:
    for method, path in (
        ("GET", "/v1/messages/none"),
        ("DELETE", "/v1/messages/none"),
        ("POST", "/v1/messages/none/retry"),
        ("GET", "/v1/messages?before=none"),
        ("GET", "/v2/messages"),
        ("GET", "/"),
    ):
        reply = await daemon.api.request(method, path)
        assert reply.status == reply.body["status"] == 404
        assert reply.body["kind"] in ("unknown-message", "unknown-path")


async def test_a_refused_request_reads_well_to_people(daemon: Daemon) -> None:
    with pytest.raises(ApiError) as refused:
        await daemon.api.send("")
    assert refused.value.detail == "field text is empty"
