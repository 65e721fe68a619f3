"""The tables of the audit report: orders and payments as they are stored, newest first."""

from collections.abc import Iterator

from connector.api.reads.records import Scope, live
from connector.ledger.published import Publication

ORDER_COLUMNS = (
    *("order_id", "order_number", "created_date", "currency", "total_amount", "total_refund", "total_tax_amount"),
    *("total_discount", "total_gratuity", "customer_id", "customer_name", "source_modified_date", "snapshot_id"),
)  # fmt: skip
PAYMENT_COLUMNS = (
    *("payment_id", "order_id", "created_date", "currency", "amount", "type", "status", "is_refund"),
)  # fmt: skip


def orders(publication: Publication, scope: Scope, *, most: int) -> Iterator[tuple[object, ...]]:
    """Cells by ``ORDER_COLUMNS``. Amounts in major units, times UTC without zone."""
    condition, values = live(scope, "o")
    columns = ", ".join(f"o.{name}" for name in ORDER_COLUMNS)
    return _rows(
        publication,
        f"SELECT {columns} FROM ledger.order_versions o WHERE {condition}"  # noqa: S608 - our own names only
        " ORDER BY o.created_date DESC, o.order_id LIMIT ?",
        [*values, most],
    )


def payments(publication: Publication, scope: Scope, *, most: int) -> Iterator[tuple[object, ...]]:
    """Cells by ``PAYMENT_COLUMNS``; refunds are negative."""
    condition, values = live(scope, "o")
    return _rows(
        publication,
        "SELECT p.id, order_id, p.created_date, p.currency, p.amount, p.type, p.status, p.is_refund FROM ("  # noqa: S608
        f" SELECT unnest(o.payments) AS p, o.order_id FROM ledger.order_versions o WHERE {condition})"
        " ORDER BY p.created_date DESC, p.id LIMIT ?",
        [*values, most],
    )


def _rows(publication: Publication, sql: str, parameters: list[object]) -> Iterator[tuple[object, ...]]:
    with publication.cursor.cursor() as cursor:
        cursor.execute(sql, parameters)
        while found := cursor.fetchmany(2000):
            yield from found
