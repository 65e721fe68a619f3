"""Where a merchant may be led afterwards: to what the configuration allows, and nowhere else."""

from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

_LONGEST = 2000  # characters


def allowed_redirect(asked: str, allowed: Sequence[str]) -> str | None:
    """The address that a link asks for, else the first allowed one; None where there is none.

    It must be an allowed one to the letter, but for a query. Raises ValueError where it is not.
    """
    if not asked:
        return allowed[0] if allowed else None
    if (
        len(asked) > _LONGEST
        or not asked.isascii()
        or not asked.isprintable()
        or "\\" in asked
        or " " in asked
    ):
        raise ValueError("not allowed")
    parts = urlsplit(asked)
    if parts.fragment or _without_query(parts) not in {_without_query(urlsplit(one)) for one in allowed}:
        raise ValueError("not allowed")
    return asked


def with_outcome(redirect: str, outcome: Mapping[str, str]) -> str:
    """The address with what became of the link behind what it carried; our names win."""
    parts = urlsplit(redirect)
    carried = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in outcome
    ]
    return urlunsplit(parts._replace(query=urlencode([*carried, *outcome.items()])))


def _without_query(parts: SplitResult) -> tuple[str, str, str]:
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/")
