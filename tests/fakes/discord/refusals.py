"""Refusals in the shape of Discord's API ("Error Messages", "JSON error codes")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.calls import Answer
from tests.fakes.faults import Action, respond


class Refusal(Exception):  # noqa: N818 - reads as the outcome that it is
    """An honest server refuses this request."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.body: Mapping[str, Any] = {"message": message, "code": code, **more}


def unknown(what: str) -> Refusal:
    codes = {"Channel": 10003, "Guild": 10004, "Message": 10008, "User": 10013, "Member": 10007}
    return Refusal(404, codes[what], f"Unknown {what}")


def missing_access() -> Refusal:
    return Refusal(403, 50001, "Missing Access")


def missing_permissions() -> Refusal:
    return Refusal(403, 50013, "Missing Permissions")


def invalid_form(field: str, code: str, message: str) -> Refusal:
    errors = {field: {"_errors": [{"code": code, "message": message}]}}
    return Refusal(400, 50035, "Invalid Form Body", errors=errors)


def refuse(status: int, code: int = 0, message: str = "scripted", **more: Any) -> Action:
    """A fault: refuse in Discord's shape, nothing is processed."""
    return respond(Answer.of({"message": message, "code": code, **more}, status))


def slow_down(retry_after_s: float, *, for_all: bool = False) -> Action:
    """A fault: 429 as Discord itself says it, for this bucket or for everything."""
    return respond(too_many(retry_after_s, for_all=for_all))


def too_many(retry_after_s: float, *, for_all: bool = False) -> Answer:
    body = {
        "message": "You are being rate limited.",
        "retry_after": retry_after_s,
        "global": for_all,
    }
    headers = {"Retry_After": str(max(1, round(retry_after_s))), "Via": "1.1 google"}
    if for_all:
        headers["X_RateLimit_Global"] = "true"
    headers["X_RateLimit_Scope"] = "global" if for_all else "user"
    return Answer.of(body, 429, **headers)
