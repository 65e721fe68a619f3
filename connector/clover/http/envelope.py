"""Takes Clover's list answers apart. Knows their shapes, not their meaning.

Clover documents ``{object, url, has_more, data: [...]}`` (docs.clover.com, Paginate requests), but its own
SDKs and samples also show ``data: {elements: [...]}``, bare arrays, and v3's ``{elements: [...]}``.
"""

from dataclasses import dataclass

from connector.errors import CloverError


@dataclass(frozen=True, slots=True)
class Envelope:
    """Rows of one list answer. ``has_more`` is None where Clover leaves the flag out."""

    rows: list[object]
    has_more: bool | None


def unwrap(body: object, *, path: str = "") -> Envelope:
    """The rows of a list answer in any of the known shapes; CloverError for any other shape."""
    if isinstance(body, list):
        return Envelope(body, None)
    if isinstance(body, dict):
        for holder in (body, body.get("data")):
            for rows in (holder.get("data"), holder.get("elements")) if isinstance(holder, dict) else ():
                if isinstance(rows, list):
                    return Envelope(rows, _flag(body.get("has_more")))
    raise CloverError(
        f"Clover answered GET {path} with a {type(body).__name__} that is no list of records.",
        path=path,
        status=200,
        hint="Check that base_url points at Clover's Ecommerce API and not at another service.",
    )


def _flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
