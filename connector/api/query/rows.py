"""The query language over small lists held in memory: companies, connections, the history of reads.

The same grammar, types and errors as ``query_sql``. A path through a list (Codat allows
``dataConnections.status`` on companies) holds when any of its members holds; ``!=`` when none equals.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from connector.api.query import values as query_values
from connector.api.query.fields import Fields, Kind
from connector.api.query.grammar import And, Clause, Node
from connector.api.query.ordering import Order
from connector.api.query.sql import Value, read_query, typed_clause

Row = Mapping[str, Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "~": lambda have, want: want in have,
}


def matching(rows: Iterable[Row], text: str | None, fields: Fields, model: str) -> list[Row]:
    """The rows the query keeps, in the order given. Raises QueryError."""
    node = read_query(text)
    if node is None:
        return list(rows)
    test = _test(node, fields, model)  # compiled first: a bad query is bad even over no rows
    return [row for row in rows if test(row)]


def ordered(rows: Iterable[Row], order: Order) -> list[Row]:
    """Missing values first ascending, last descending; the id breaks ties, always ascending."""

    def key(row: Row) -> tuple[bool, Any]:
        value = next(iter(_values(row, order.name.split("."))), None)
        if value is not None and order.field.kind is Kind.DATE:
            value = query_values.instant(value)
        return (value is not None, value) if value is not None else (False, "")

    by_id = sorted(rows, key=lambda row: str(row["id"]))
    missing = [row for row in by_id if not key(row)[0]]
    present = sorted((row for row in by_id if key(row)[0]), key=key, reverse=order.descending)
    return present + missing if order.descending else missing + present


def _test(node: Node, fields: Fields, model: str) -> Callable[[Row], bool]:
    if isinstance(node, Clause):
        return _clause(node, fields, model)
    tests = [_test(term, fields, model) for term in node.terms]
    decide = all if isinstance(node, And) else any
    return lambda row: decide(test(row) for test in tests)


def _clause(clause: Clause, fields: Fields, model: str) -> Callable[[Row], bool]:
    name, field, value = typed_clause(clause, fields, model)
    parts = name.split(".")
    want = _comparable(value, field.kind)
    if clause.op == "!=":
        return lambda row: all(_comparable(v, field.kind) != want for v in _values(row, parts))
    compare = _COMPARE[clause.op]
    return lambda row: any(compare(_comparable(v, field.kind), want) for v in _values(row, parts))


def _comparable(value: Value, kind: Kind) -> Any:
    if isinstance(value, str):
        return query_values.instant(value) if kind is Kind.DATE else value.lower()
    return value


def _values(row: Any, parts: Sequence[str]) -> Iterable[Any]:
    """The values at a path that are there; a list on the way stands for each of its members."""
    if isinstance(row, list):
        for item in row:
            yield from _values(item, parts)
    elif not parts:
        if row is not None:
            yield row
    elif isinstance(row, Mapping) and parts[0] in row:
        yield from _values(row[parts[0]], parts[1:])
