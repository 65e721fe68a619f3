"""Totals of companies from the published views, for summaries. The views define the figures; nothing is added here."""

from collections.abc import Iterable

from connector.errors import StoreError
from connector.ledger.interface import Store
from connector.sync.report import Totals

_SQL = """
SELECT company_id, currency, sum(orders)::BIGINT AS orders, sum(gross_sales), sum(discounts), sum("returns"),
  sum(net_sales), sum(service_charges), sum(tax), sum(total_sales), sum(tips),
  sum(amount_collected), sum(gift_cards_sold)
FROM monthly_sales WHERE list_contains($companies, company_id) GROUP BY company_id, currency ORDER BY ALL
"""


def company_totals(store: Store, company_ids: Iterable[str]) -> list[Totals]:
    """One row a company and currency; empty while nothing was ever published."""
    by_store: dict[int, tuple[Store, list[str]]] = {}
    for company_id in sorted(set(company_ids)):
        own = store.store_of(company_id)
        by_store.setdefault(id(own), (own, []))[1].append(company_id)
    return [totals for own, ids in by_store.values() for totals in _totals(own, ids)]


def _totals(store: Store, company_ids: list[str]) -> list[Totals]:
    try:
        with store.open_reader() as reader:
            rows = reader.connection.execute(_SQL, {"companies": company_ids}).fetchall()
    except StoreError:
        return []
    return [Totals(*row) for row in rows]
