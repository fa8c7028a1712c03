"""Durable subscribers: list, acknowledge, forget."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from fleetchatd.api.problems import not_found, unprocessable
from fleetchatd.api.query import Query, subscriber_name
from fleetchatd.api.service import Service, json_response, parse_json


async def listing(service: Service, request: web.BaseRequest) -> web.Response:
    """All durable subscribers and how far they are."""
    Query(request, ())
    found = [
        {
            "name": subscriber.name,
            "connected": service.streams.connected(subscriber.name),
            "acked_seq": subscriber.acked_seq,
            "lag": subscriber.lag,
            "oldest_unacked_age_s": subscriber.oldest_unacked_age_s,
        }
        for subscriber in service.journal.subscribers()
    ]
    return json_response({"subscribers": found})


async def acknowledge(service: Service, request: web.BaseRequest, name: str) -> web.Response:
    """Move a subscriber's position forward."""
    Query(request, ())
    subscriber_name(name)
    seq = parse_seq(parse_json(await request.read()))
    last = service.journal.last_seq
    known = seq <= last
    acked = await service.journal.acknowledge(name, seq if known else 0)
    if acked is None:
        raise _unknown(name)
    if not known:
        raise unprocessable(f"there is no event {seq} yet; the last is {last}", "unknown-seq")
    service.acknowledged(name, acked)
    return json_response({"name": name, "acked_seq": acked})


def parse_seq(body: Any) -> int:
    """The `seq` of an acknowledgement.

    Raises:
        RequestError: a field is bad, missing or unknown.
    """
    if not isinstance(body, dict) or "seq" not in body:
        raise unprocessable("the body must be a JSON object with the field seq")
    if len(body) > 1:
        raise unprocessable("unknown field beside seq")
    seq = body["seq"]
    if isinstance(seq, float) and seq.is_integer():
        seq = int(seq)  # 5.0, and what is too large for the parser's integers
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 0:
        raise unprocessable("field seq must be a whole number, 0 or above")
    return seq


async def forget(service: Service, request: web.BaseRequest, name: str) -> web.Response:
    """Delete a subscriber; its live stream ends."""
    Query(request, ())
    subscriber_name(name)
    if not await service.journal.unsubscribe(name):
        raise _unknown(name)
    service.streams.drop(name)
    return web.Response(status=204)


def _unknown(name: str) -> Exception:
    return not_found(f"there is no subscriber {name}", "unknown-subscriber")
