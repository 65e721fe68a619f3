"""Figures of a connection's months as told at one snapshot and at another, and the orders that explain the difference.

By the macros ``restatement`` and ``restatement_orders`` of the published file, which define both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from connector.ledger.published import Publication

Why = Literal["new", "changed", "deleted"]


@dataclass(frozen=True, slots=True)
class RestatedFigure:
    """One figure of ``monthly_sales`` of one month and currency: major units; a number for orders.

    by_why: what of the difference is of orders that are new, changed and deleted.
    """

    month: date
    currency: str
    figure: str
    was: Decimal
    became: Decimal
    difference: Decimal
    by_why: Mapping[str, Decimal]
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
    publication: Publication, company_id: str, connection_id: str, *, told: int, now: int
) -> list[RestatedFigure]:
    """Every figure that some order changed, by month and currency."""
    rows = publication.cursor.execute(
        """
        SELECT "month", currency, figure, was, became, difference, new_difference, changed_difference,
          deleted_difference, orders
        FROM main.restatement($told, $now, of_connection := $connection) WHERE company_id = $company
        ORDER BY "month", currency, figure
        """,
        {"told": told, "now": now, "company": company_id, "connection": connection_id},
    ).fetchall()
    return [
        RestatedFigure(
            month=row[0],
            currency=row[1],
            figure=row[2],
            was=row[3],
            became=row[4],
            difference=row[5],
            by_why={"new": row[6], "changed": row[7], "deleted": row[8]},
            orders=row[9],
        )
        for row in rows
    ]


def restated_orders(
    publication: Publication, company_id: str, connection_id: str, *, told: int, now: int
) -> list[RestatedOrder]:
    """The orders behind the differences, by month, currency and id."""
    rows = publication.cursor.execute(
        """
        SELECT "month", currency, order_id, any_value(why), map_from_entries(list((figure, difference)))
        FROM main.restatement_orders($told, $now, of_connection := $connection) WHERE company_id = $company
        GROUP BY "month", currency, order_id ORDER BY "month", currency, order_id
        """,
        {"told": told, "now": now, "company": company_id, "connection": connection_id},
    ).fetchall()
    return [RestatedOrder(*row) for row in rows]
