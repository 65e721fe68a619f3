"""What OpenAPI says of the answers.

An example of success, and the errors of the route in Codat's one body.
"""

from typing import Any

from fastapi import FastAPI, Response

from schemas.platform import ErrorMessage

WORDS = {
    400: "The query or a parameter is wrong; the text shows where.",
    401: "The API key is missing, wrong, expired or revoked.",
    402: "Kept for Codat's account limits; never sent here.",
    403: "The key does not carry the scope this needs.",
    404: "No such company, connection or record, or none this key may see.",
    406: "`Accept` names nothing that is offered here; the text says what is.",
    405: "The path does not take this method.",
    409: "Never synced: no data yet.",
    410: "The epoch is over: the store was restored, and snapshots are numbered anew.",
    413: "The body is too large.",
    429: "Too many requests; wait `Retry-After` seconds.",
    500: "Our fault. Quote the correlation id.",
    503: "Not ready yet; wait `Retry-After` seconds.",
}
ALWAYS = (401, 402, 403, 404, 406, 413, 429, 500, 503)


def documented(
    example: object,
    *extra: int,
    status: int = 200,
    lines: bool = False,
    files: tuple[str, ...] = (),
    about: str = "OK",
) -> Any:
    """The keyword arguments of a route: its success with ``example``, and the errors it can answer with."""
    content: dict[str, object] = {"application/json": {"schema": {"type": "object"}, "example": example}}
    if lines:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    content |= {media: {"schema": {"type": "string", "format": "binary"}} for media in files}
    success: dict[str, object] = {"description": about}
    if example is not None:
        success["content"] = content
    responses: dict[int | str, dict[str, object]] = {status: success}
    if status == 200:
        responses[304] = {"description": "Unchanged since the tag in `If-None-Match`."}
    for code in sorted({*ALWAYS, *extra}):
        responses[code] = {
            "description": WORDS[code],
            "model": ErrorMessage,
            "content": {"application/json": {"example": _error(code)}},
        }
    made = {"responses": responses, "status_code": status, "response_model": None}
    return made if example is not None else {**made, "response_class": Response}


def _error(code: int) -> dict[str, object]:
    return {
        "statusCode": code,
        "service": "PublicApi",
        "error": WORDS[code],
        "correlationId": "bc997528a9d7abb9161ef45f05d38599",
        "canBeRetried": "True" if code in (429, 503) else "Unknown",
        "detailedErrorCode": 0,
    }


def describe(app: FastAPI) -> None:
    """Say how to authenticate, and leave out FastAPI's own 422, which is never sent."""
    made = FastAPI.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = made(app)
        schema.setdefault("components", {})["securitySchemes"] = {
            "auth_header": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Basic ` and the key in base64, as Codat has it; or `Bearer ` and the key.",
            }
        }
        schema["security"] = [{"auth_header": []}]
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                operation.get("responses", {}).pop("422", None)
                if path in ("/", "/metrics") or path.startswith("/health"):
                    operation["security"] = []
        components = schema["components"].get("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
