"""Requests and answers between the socket and the routes, and Clover's two ways of saying no."""

import json
from dataclasses import dataclass, field
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

REASONS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as received. params: in the order sent; headers: lower-case names."""

    number: int
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def param(self, name: str) -> str | None:
        """The first value of a parameter."""
        return next((value for key, value in self.params if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of a repeated parameter."""
        return [value for key, value in self.params if key == name]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers; what a fault then does to it on the socket is the server's."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """Ends the handling of a request with an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8; the same value gives the same bytes."""
    return _encode(value).encode()


def json_answer(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, encode(value), headers=headers)


def refusal(
    status: int,
    message: str | None = None,
    *,
    code: str = "invalid_request",
    kind: str | None = "invalid_request_error",
    said_status: int | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """The Ecommerce API's error body (docs.clover.com, Ecommerce API error codes).

    Without a message there is no ``error`` member, as on 401 and 429. said_status: what the body claims,
    where that differs from the status line.
    """
    said = said_status or status
    body: dict[str, Any] = {"message": f"{said} {REASONS.get(said, 'Error')}"}
    if message is not None:
        body["error"] = {**({"type": kind} if kind else {}), "code": code, "message": message}
    return json_answer(body, status, headers)


def platform_refusal(status: int, details: str) -> Answer:
    """The platform's error body, which looks different."""
    return json_answer({"message": REASONS.get(status, "Error"), "details": details}, status)
