"""One chart of a report, with the same figures as a table for people and programs, and how its cells are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from markupsafe import Markup

from schemas.money import money

SO_FAR = " so far"


@dataclass(frozen=True, slots=True)
class Chart:
    """id: unique on the page. note: what the figures mean. drawing: None where there is nothing to draw.

    header, rows and foot: the same figures as text; foot is empty where adding them up would mean nothing. words: how
    many columns from the left are words.
    """

    id: str
    title: str
    note: str
    drawing: Markup | None
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[str, ...] = ()
    words: int = 1


def is_partial(month: date, read_until: date | None) -> bool:
    """Whether a month was not over when it was read."""
    return read_until is None or (month.year, month.month) >= (read_until.year, read_until.month)


def month_label(month: date, read_until: date | None) -> str:
    """The month, and that it goes on where it does."""
    return f"{month:%Y-%m}{SO_FAR if is_partial(month, read_until) else ''}"


def total_cells(currency: str, *amounts: Decimal) -> tuple[str, ...]:
    """Sums for the foot of a table."""
    return tuple(money(amount, currency) for amount in amounts)


def amounts_text(by_currency: Mapping[str, Decimal]) -> str:
    """Amounts of several currencies in one cell."""
    return ", ".join(f"{money(amount, currency)} {currency}" for currency, amount in by_currency.items())
