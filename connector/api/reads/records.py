"""Reads of published records for the API as of a snapshot: counts, pages of ready JSON, single records.

A page is read in two steps: the numbers of its rows from narrow columns, or from what is kept of the question
(``positions``), then the documents of those rows. Conditions and orders come in as SQL written by ``connector.api``
with bound values; the row alias is ``v``. Payments and transactions are the orders' payments, unnested.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import msgspec

from connector.api.reads import positions
from connector.api.reads.positions import Positions
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
    """A condition and an order over the row alias ``v``; ``parameters`` belong to the condition.

    limit: so many records from offset on are a page.
    """

    where: str = "TRUE"
    parameters: tuple[object, ...] = ()
    order: str = ""
    limit: int = 1
    offset: int = 0


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


_LOOKUPS = 16  # of single records; about as many take as long as keeping the way to all of them
_PLACE_BITS = 20  # of a payment's number: its place in the list of its order, from 1
_PLACES = (1 << _PLACE_BITS) - 1
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
    key = hashlib.blake2b(f"{sql}|{parameters!r}".encode(), digest_size=16).digest()
    counts = cast("dict[bytes, int]", publication.cache.setdefault("counts", {}))
    known = counts.get(key)
    if known is None:
        if len(counts) > 10_000:
            counts.clear()
        known = counts[key] = int(_one(publication, sql, parameters)[0])
    return known


def page(
    publication: Publication,
    source: Source,
    scope: Scope,
    selection: Selection,
    *,
    separator: str = ",",
) -> Page:
    """The page of the selection, in its order, as JSON with ``separator`` between the records."""
    limit, offset = selection.limit, selection.offset
    rows, values = _rows(source, scope)
    parameters = [*values, *selection.parameters]
    question = f"SELECT v.number FROM {rows} WHERE {selection.where} ORDER BY {selection.order}"  # noqa: S608
    kept = _positions(publication).find(
        f"{question}|{parameters!r}",
        lambda: count(publication, source, scope, selection),
        lambda: positions.ordered(publication.cursor.execute(question, parameters)),
    )
    if kept is None:
        chosen = _Chosen(f"{question} LIMIT ? OFFSET ?", (*parameters, limit, offset))
    else:
        chosen = _numbered(kept[0][offset : offset + limit])
    return _documents(publication, source, chosen, separator=separator)


def one(publication: Publication, source: Source, scope: Scope, record_id: str) -> str | None:
    """The document of one record, None when there is none."""
    rows, values = _rows(source, scope)
    question = f"SELECT {positions.hash_sql(source.id_sql)} AS h, v.number FROM {rows} ORDER BY h"  # noqa: S608
    kept = _positions(publication).find(
        f"{question}|{values!r}",
        lambda: count(publication, source, scope, Selection()),
        lambda: positions.by_id(publication.cursor.execute(question, list(values))),
        after=_LOOKUPS,
    )
    numbers = None if kept is None else positions.with_id(kept, record_id)
    if numbers is None:
        sql = f"SELECT v.number FROM {rows} WHERE {source.id_sql} = ? LIMIT 1"  # noqa: S608
        chosen = _Chosen(sql, (*values, record_id))
    elif source.kind in ("payments", "transactions"):
        chosen = _numbered(numbers)
    else:
        # The same as below, in a third of the time: DuckDB goes to a row whose number it is given outright.
        sql = f"SELECT v.doc FROM {_table(source)} v WHERE v.rowid = ? AND {source.id_sql} = ?"  # noqa: S608
        found = (publication.cursor.execute(sql, [number, record_id]).fetchone() for number in numbers)
        return next((str(row[0]) for row in found if row is not None), None)
    return _documents(publication, source, chosen, record_id=record_id).text or None


def stream(
    publication: Publication, source: Source, scope: Scope, selection: Selection, *, chunk: int = 2000
) -> Iterator[str]:
    """Every record of the selection, as texts of up to ``chunk`` lines. JSON text holds no raw line break."""
    selection = replace(selection, limit=chunk, offset=0)
    while True:
        found = page(publication, source, scope, selection, separator="\n")
        if found.rows:
            yield found.text + "\n"
        if found.rows < chunk:
            return
        selection = replace(selection, offset=selection.offset + chunk)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A query for the numbers of records, in the order they are wanted in."""

    sql: str
    parameters: tuple[object, ...]


def _numbered(numbers: Sequence[int]) -> _Chosen:
    return _Chosen("SELECT unnest(CAST(? AS BIGINT[]))", (list(numbers),))


def _positions(publication: Publication) -> Positions:
    return cast("Positions", publication.cache.setdefault("positions", Positions()))


def _documents(
    publication: Publication,
    source: Source,
    chosen: _Chosen,
    *,
    separator: str = ",",
    record_id: str | None = None,
) -> Page:
    """The documents of what was chosen. record_id: only that of this id, for numbers that were found by a hash."""
    only, of_id = ("TRUE", ()) if record_id is None else (f"{source.id_sql} = ?", (record_id,))
    wanted = "v.doc"
    of_order = f"FROM k JOIN ledger.order_versions o ON o.rowid = k.number >> {_PLACE_BITS}"
    place = f"k.number & {_PLACES}"
    if source.kind == "payments":
        # Not out of the column: a list in it takes three times as long to read as the document.
        wanted, only, of_id = "v.doc, v.place", "TRUE", ()
        found = f"SELECT o.doc, {place} AS place, k.n {of_order}"
    elif source.kind == "transactions":
        wanted = "*"
        found = f"""SELECT {_PAYMENT}, q.n FROM (
            SELECT o.payments[{place}] AS p, {place} AS place, o.order_id, o.modified_date, o.rowid AS r, k.n
            {of_order}) q"""  # noqa: S608
    else:
        found = f"SELECT t.*, k.n FROM k JOIN {_table(source)} t ON t.rowid = k.number"  # noqa: S608
    rows = publication.cursor.execute(
        f"WITH k AS MATERIALIZED (SELECT number, row_number() OVER () AS n FROM ({chosen.sql}) t(number))"  # noqa: S608
        f" SELECT {wanted} FROM ({found}) v WHERE {only} ORDER BY v.n",
        [*chosen.parameters, *of_id],
    )
    if source.kind == "payments":
        documents = [
            text for document, place in rows.fetchall() for text in _payment(document, place, record_id)
        ]
    elif source.kind == "transactions":
        names = [column[0] for column in rows.description or []]
        documents = [_transaction(dict(zip(names, row, strict=True))) for row in rows.fetchall()]
    else:
        documents = [row[0] for row in rows.fetchall()]
    return Page(separator.join(documents), len(documents))


def _table(source: Source) -> str:
    return "ledger.order_versions" if source.kind == "orders" else "ledger.record_versions"


def live(scope: Scope, alias: str) -> tuple[str, list[object]]:
    """The condition that a version is the current one, or was at the snapshot, and the values bound in it."""
    condition = f"{alias}.company_id = ? AND {alias}.connection_id = ? AND NOT {alias}.is_deleted"
    values: list[object] = [scope.company_id, scope.connection_id]
    if scope.as_of is None:
        return f"{condition} AND {alias}.replaced_by IS NULL", values
    return (
        f"{condition} AND {alias}.snapshot_id <= ? AND ({alias}.replaced_by IS NULL OR {alias}.replaced_by > ?)",
        [*values, scope.as_of, scope.as_of],
    )


# Of ``q``: a payment ``p``, its ``place``, and of its order the row ``r``, the id and when it was loaded.
_PAYMENT = f"""p.id AS payment_id, p.amount, p.currency, p.type, p.status, p.provider, p.created_date,
  coalesce(p.modified_date, q.modified_date) AS modified_date, p.source_modified_date,
  CASE WHEN p.is_refund THEN 'Refund' ELSE 'Payment' END AS transaction_type,
  CASE WHEN p.is_refund THEN 'refund' ELSE 'charge' END AS sub_type, q.order_id,
  (q.r << {_PLACE_BITS}) | q.place AS number"""


def _rows(source: Source, scope: Scope) -> tuple[str, Sequence[object]]:
    """The rows of a data type under the alias ``v``, and the values bound in it.

    ``v.number`` is the row's own, and for a payment with its place in the list of its order behind it.
    """
    if source.kind in ("payments", "transactions"):
        condition, values = live(scope, "o")
        counted = "WHERE p.status = 'Paid'" if source.kind == "transactions" else ""
        return (
            f"""(SELECT {_PAYMENT} FROM (
                   SELECT unnest(o.payments) AS p, generate_subscripts(o.payments, 1) AS place, o.order_id,
                     o.modified_date, o.rowid AS r FROM ledger.order_versions o WHERE {condition}) q {counted}) v""",  # noqa: S608
            values,
        )
    condition, values = live(scope, "t")
    if source.kind != "orders":
        condition, values = f"{condition} AND t.data_type = ?", [*values, source.record_type]
    return f"(SELECT t.*, t.rowid AS number FROM {_table(source)} t WHERE {condition}) v", values  # noqa: S608


def _one(publication: Publication, sql: str, parameters: Sequence[object]) -> tuple[Any, ...]:
    row = publication.cursor.execute(sql, list(parameters)).fetchone()
    assert row is not None
    return row


class _Payments(msgspec.Struct):
    """The payments of an order's document, as they are written there."""

    payments: list[msgspec.Raw]


class _Named(msgspec.Struct):
    id: str


def _payment(document: str, place: int, record_id: str | None) -> Iterator[str]:
    """The payment at a place, which is the same in the document and in the column; none if its id is another."""
    written = msgspec.json.decode(document, type=_Payments).payments[place - 1]
    if record_id is None or msgspec.json.decode(written, type=_Named).id == record_id:
        yield bytes(written).decode()


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
