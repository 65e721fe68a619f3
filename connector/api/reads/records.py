"""Reads of published records for the API as of a snapshot: counts, pages of ready JSON, single records.

A page is read in two steps: the row ids of the page from narrow columns, then the documents of those rows,
joined into one text by DuckDB itself. Conditions and orders come in as SQL written by ``connector.api``
with bound values; the row alias is ``v``. Payments and transactions are the orders' payments, unnested.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.ledger.published import Publication
from schemas.commerce import Transaction, TransactionSourceRef
from schemas.commerce_enums import TransactionSourceType
from schemas.money import shortest
from schemas.times import to_the_millisecond, wire_text
from schemas.wire import encode


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose records, as known when. ``as_of`` None is the newest state, else a snapshot id."""

    company_id: str
    connection_id: str
    as_of: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """A condition and an order over the row alias ``v``; ``parameters`` belong to the condition."""

    where: str = "TRUE"
    parameters: tuple[object, ...] = ()
    order: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data type is read from. ``record_type``: the value of ``data_type`` in ``record_versions``."""

    id_sql: str
    kind: str  # orders | records | payments | transactions | nothing
    record_type: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """``text``: JSON objects joined by commas, empty when there is none. ``rows``: how many."""

    text: str
    rows: int


ORDERS = Source("v.order_id", "orders")
PAYMENTS = Source("v.payment_id", "payments")
TRANSACTIONS = Source("v.payment_id", "transactions")
NOTHING = Source("v.record_id", "nothing", "")


def records(record_type: str) -> Source:
    """The records of one type beside orders: customers, products, locations, ..."""
    return Source("v.record_id", "records", record_type)


def count(publication: Publication, source: Source, scope: Scope, selection: Selection) -> int:
    """How many records the selection keeps. Remembered for the publication, which never changes."""
    rows, values = _rows(source, scope)
    sql = f"SELECT count(*) FROM {rows} WHERE {selection.where}"  # noqa: S608
    parameters = [*values, *selection.parameters]
    key = hashlib.blake2b(f"{sql}|{parameters!r}".encode(), digest_size=16).hexdigest()
    known = publication.cache.get(key)
    if not isinstance(known, int):
        if len(publication.cache) > 10_000:
            publication.cache.clear()
        known = publication.cache[key] = int(_one(publication, sql, parameters)[0])
    return known


def page(
    publication: Publication,
    source: Source,
    scope: Scope,
    selection: Selection,
    *,
    limit: int,
    offset: int,
    separator: str = ",",
) -> Page:
    """``limit`` records from ``offset`` on, in the selection's order, as JSON with ``separator`` between them."""
    assert separator in (",", "\n")
    between = "','" if separator == "," else "chr(10)"
    rows, values = _rows(source, scope)
    parameters = [*values, *selection.parameters, limit, offset]
    narrow = f"FROM {rows} WHERE {selection.where} ORDER BY {selection.order} LIMIT ? OFFSET ?"
    if source.kind == "transactions":
        found = publication.cursor.execute(f"SELECT v.* {narrow}", parameters)
        names = [column[0] for column in found.description or []]
        documents = [_transaction(dict(zip(names, row, strict=True))) for row in found.fetchall()]
        return Page(separator.join(documents), len(documents))
    if source.kind == "payments":
        sql = f"""
            WITH k AS MATERIALIZED (SELECT row_number() OVER () AS n, * FROM (SELECT v.payment_id, v.r {narrow})),
            p AS (SELECT d.rowid AS r, unnest(CAST(json_extract(d.doc, '$.payments') AS JSON[])) AS payment
                  FROM ledger.order_versions d WHERE d.rowid IN (SELECT r FROM k))
            SELECT coalesce(string_agg(CAST(p.payment AS VARCHAR), {between} ORDER BY k.n), ''), count(*)
            FROM k JOIN p ON p.r = k.r AND json_extract_string(p.payment, '$.id') = k.payment_id"""  # noqa: S608
    else:
        table = _table(source)
        sql = f"""
            WITH k AS (SELECT v.rowid AS r {narrow})
            SELECT coalesce(string_agg(v.doc, {between} ORDER BY {selection.order}), ''), count(*)
            FROM {table} v WHERE v.rowid IN (SELECT r FROM k)"""  # noqa: S608
    text, found_rows = _one(publication, sql, parameters)
    return Page(str(text), int(found_rows))


def one(publication: Publication, source: Source, scope: Scope, record_id: str) -> str | None:
    """The document of one record, None when there is none."""
    if source.kind in ("payments", "transactions"):
        selection = Selection(f"{source.id_sql} = ?", (record_id,), source.id_sql)
        return page(publication, source, scope, selection, limit=1, offset=0).text or None
    rows, values = _rows(source, scope)
    sql = f"SELECT v.doc FROM {rows} WHERE {source.id_sql} = ? LIMIT 1"  # noqa: S608
    found = publication.cursor.execute(sql, [*values, record_id]).fetchone()
    return None if found is None else str(found[0])


def stream(
    publication: Publication, source: Source, scope: Scope, selection: Selection, *, chunk: int = 2000
) -> Iterator[str]:
    """Every record of the selection, as texts of up to ``chunk`` lines. JSON text holds no raw line break."""
    offset = 0
    while True:
        found = page(publication, source, scope, selection, limit=chunk, offset=offset, separator="\n")
        if found.rows:
            yield found.text + "\n"
        if found.rows < chunk:
            return
        offset += chunk


def _table(source: Source) -> str:
    return "ledger.order_versions" if source.kind == "orders" else "ledger.record_versions"


def _live(scope: Scope, alias: str) -> tuple[str, list[object]]:
    condition = f"{alias}.company_id = ? AND {alias}.connection_id = ? AND NOT {alias}.is_deleted"
    values: list[object] = [scope.company_id, scope.connection_id]
    if scope.as_of is None:
        return f"{condition} AND {alias}.replaced_by IS NULL", values
    return (
        f"{condition} AND {alias}.snapshot_id <= ? AND ({alias}.replaced_by IS NULL OR {alias}.replaced_by > ?)",
        [*values, scope.as_of, scope.as_of],
    )


def _rows(source: Source, scope: Scope) -> tuple[str, Sequence[object]]:
    """The rows of a data type under the alias ``v``, and the values bound in it."""
    if source.kind in ("payments", "transactions"):
        live, values = _live(scope, "o")
        counted = "WHERE p.status = 'Paid'" if source.kind == "transactions" else ""
        return (
            f"""(SELECT p.id AS payment_id, p.amount, p.currency, p.type, p.status, p.provider, p.created_date,
                   coalesce(p.modified_date, q.modified_date) AS modified_date, p.source_modified_date,
                   CASE WHEN p.is_refund THEN 'Refund' ELSE 'Payment' END AS transaction_type,
                   CASE WHEN p.is_refund THEN 'refund' ELSE 'charge' END AS sub_type, q.order_id, q.r
                 FROM (SELECT unnest(o.payments) AS p, o.order_id, o.modified_date, o.rowid AS r
                       FROM ledger.order_versions o WHERE {live}) q {counted}) v""",  # noqa: S608
            values,
        )
    live, values = _live(scope, "t")
    if source.kind != "orders":
        live, values = f"{live} AND t.data_type = ?", [*values, source.record_type]
    return f"(SELECT t.*, t.rowid FROM {_table(source)} t WHERE {live}) v", values  # noqa: S608


def _one(publication: Publication, sql: str, parameters: Sequence[object]) -> tuple[Any, ...]:
    row = publication.cursor.execute(sql, list(parameters)).fetchone()
    assert row is not None
    return row


def _transaction(row: dict[str, Any]) -> str:
    return encode(
        Transaction(
            id=row["payment_id"],
            total_amount=shortest(row["amount"]),
            currency=row["currency"],
            type=row["transaction_type"],
            sub_type=row["sub_type"],
            transaction_source_ref=TransactionSourceRef(id=row["order_id"], type=TransactionSourceType.ORDER),
            created_date=wire_time(row["created_date"]),
            modified_date=wire_time(row["modified_date"]),
            source_modified_date=wire_time(row["source_modified_date"]),
        )
    ).decode()


def wire_time(moment: datetime | None) -> str | None:
    """The text of a time as the store keeps it, UTC with or without its zone; see ``schemas.times``."""
    return None if moment is None else wire_text(to_the_millisecond(moment))
