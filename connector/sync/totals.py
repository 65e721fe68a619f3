"""Totals of companies from the published views, for summaries. The views define the figures; nothing is added here."""

from collections.abc import Iterable

from connector.errors import StoreError
from connector.ledger.interface import Store
from connector.sync.report import Totals

_SQL = """
SELECT company_id, currency, count(*) AS orders,
       sum(total_amount - total_refund) AS gross_sales, sum(total_discount) AS discounts,
       sum(total_refund) AS refunds, sum(total_amount) AS net_sales,
       sum(total_tax_amount) AS tax, sum(total_gratuity) AS gratuity
FROM orders WHERE list_contains($companies, company_id) GROUP BY ALL ORDER BY ALL
"""


def company_totals(store: Store, company_ids: Iterable[str]) -> list[Totals]:
    """One row a company and currency; empty while nothing was ever published."""
    try:
        with store.open_reader() as reader:
            rows = reader.connection.execute(_SQL, {"companies": sorted(set(company_ids))}).fetchall()
    except StoreError:
        return []
    return [Totals(*row) for row in rows]
