"""Figures of months as told at one snapshot and at another, and the orders that explain the difference.

By the macros ``restatement`` and ``restatement_orders`` of the published file, which define both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import duckdb

Why = Literal["new", "changed", "deleted"]


@dataclass(frozen=True, slots=True)
class RestatedFigure:
    """One figure of ``monthly_sales`` of one month and currency: major units; a number for orders.

    new, changed, deleted: what of the difference is of such orders. orders: how many explain it.
    """

    month: date
    currency: str
    figure: str
    was: Decimal
    became: Decimal
    difference: Decimal
    new: Decimal
    changed: Decimal
    deleted: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class RestatedOrder:
    """What one order added to the differences of a month, by figure; figures it did not change are left out."""

    month: date
    currency: str
    order_id: str
    why: Why
    differences: Mapping[str, Decimal]


def restated_figures(
    published: duckdb.DuckDBPyConnection, company_id: str, connection_id: str | None, *, told: int, now: int
) -> list[RestatedFigure]:
    """Every figure that some order changed, by month and currency. connection_id: None for all of the company."""
    rows = published.execute(
        """
        SELECT "month", currency, figure, was, became, difference, new_difference, changed_difference,
          deleted_difference, orders
        FROM main.restatement($told, $now, of_connection := $connection) WHERE company_id = $company
        ORDER BY "month", currency, figure
        """,
        {"told": told, "now": now, "company": company_id, "connection": connection_id},
    ).fetchall()
    return [RestatedFigure(*row) for row in rows]


def restated_orders(
    published: duckdb.DuckDBPyConnection, company_id: str, connection_id: str | None, *, told: int, now: int
) -> list[RestatedOrder]:
    """The orders behind the differences, by month, currency and id. connection_id: None for all of the company."""
    rows = published.execute(
        """
        SELECT "month", currency, order_id, any_value(why), map_from_entries(list((figure, difference)))
        FROM main.restatement_orders($told, $now, of_connection := $connection) WHERE company_id = $company
        GROUP BY "month", currency, order_id ORDER BY "month", currency, order_id
        """,
        {"told": told, "now": now, "company": company_id, "connection": connection_id},
    ).fetchall()
    return [RestatedOrder(*row) for row in rows]
