"""A parsed query as a WHERE condition with bound parameters.

Every piece of SQL in the result was written in this package; every value of the client is a parameter.
What a missing value means: ``!=`` is true for it, all other operators are false (docs.codat.io shows
``metadata.isDeleted!=true`` and four ``!=`` to find companies without connections).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from connector.api.query import values as query_values
from connector.api.query.fields import Field, Fields, Kind, UnknownPropertyError, resolve
from connector.api.query.grammar import And, Clause, Node, Or, QuerySyntaxError, parse

Value = str | int | bool | Decimal | datetime

OPERATORS = {
    Kind.TEXT: frozenset({"=", "!=", "~"}),
    Kind.NUMBER: frozenset({"=", "!=", ">", "<", ">=", "<="}),
    Kind.DATE: frozenset({"=", "!=", ">", "<", ">=", "<="}),
    Kind.BOOLEAN: frozenset({"=", "!="}),
}
_STEP = Decimal("0.0001")  # the smallest difference the store can hold
_LIMIT = Decimal(10) ** 14  # DECIMAL(18,4) holds nothing larger


class QueryError(ValueError):
    """A query that cannot be answered. ``text`` is Codat's sentence, ``position`` counts from 1."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(text)
        self.text = text
        self.position = position


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL over the row alias ``v`` with one ``?`` for each of ``parameters``."""

    sql: str
    parameters: tuple[Value, ...] = ()


EVERYTHING = Condition("TRUE")


def compile_query(text: str | None, fields: Fields, model: str) -> Condition:
    """The condition for ``text``; everything when it is None or blank. Raises QueryError."""
    node = read_query(text)
    return EVERYTHING if node is None else _node(node, fields, model)


def read_query(text: str | None) -> Node | None:
    """The tree of a client's query, None for none. Raises QueryError in Codat's words."""
    if text is None or not text.strip():
        return None
    try:
        return parse(text)
    except QuerySyntaxError as exc:
        raise QueryError(f"Error parsing query - Malformed query. {exc.message}.", exc.position) from exc


def typed_clause(clause: Clause, fields: Fields, model: str) -> tuple[str, Field, Value]:
    """Exact property name, its field, and the client's value in the property's type. Raises QueryError."""
    try:
        name, field = resolve(fields, clause.path, model)
    except UnknownPropertyError as exc:
        raise QueryError(f"Error parsing query - {exc}", clause.position) from exc
    if clause.op not in OPERATORS[field.kind]:
        raise QueryError(
            f"Error parsing query - {clause.op} does not apply to {name}, which is a {field.kind}",
            clause.position,
        )
    return name, field, _value(clause, field.kind)


def _value(clause: Clause, kind: Kind) -> Value:
    try:
        if kind is Kind.NUMBER:
            return query_values.number(clause.value)
        if kind is Kind.DATE:
            return query_values.instant(clause.value)
        if kind is Kind.BOOLEAN:
            return query_values.truth(clause.value)
    except ValueError as exc:
        raise QueryError(f"Error parsing query - {exc}", clause.value_position) from exc
    return clause.value


def _node(node: Node, fields: Fields, model: str) -> Condition:
    if isinstance(node, Clause):
        return _clause(node, fields, model)
    parts = [_node(term, fields, model) for term in node.terms]
    glue = " AND " if isinstance(node, And) else " OR "
    assert isinstance(node, And | Or)
    return Condition(
        "(" + glue.join(part.sql for part in parts) + ")",
        tuple(value for part in parts for value in part.parameters),
    )


def _clause(clause: Clause, fields: Fields, model: str) -> Condition:
    _name, field, value = typed_clause(clause, fields, model)
    if isinstance(value, Decimal):
        return _number(field.sql, clause.op, value)
    if field.kind is Kind.TEXT:
        if clause.op == "~":
            return Condition(f"coalesce(contains(lower({field.sql}), lower(?)), FALSE)", (value,))
        return _compare(f"lower({field.sql})", clause.op, "lower(?)", value)
    return _compare(field.sql, clause.op, "?", value)


def _compare(left: str, op: str, right: str, value: Value) -> Condition:
    if op == "!=":
        return Condition(f"({left} IS DISTINCT FROM {right})", (value,))
    return Condition(f"coalesce({left} {op} {right}, FALSE)", (value,))


def _number(sql: str, op: str, value: Decimal) -> Condition:
    """The comparison exact on a column of four (or ten) decimals, for a value of any length.

    A bound beyond what a column can hold, or finer than its step, is moved to the nearest bound that asks the
    same question, so that no cast can overflow or round.
    """
    step = _STEP if not sql.startswith("TRY_CAST") else Decimal("1e-10")
    kind = "DECIMAL(18,4)" if step == _STEP else "DECIMAL(28,10)"
    if abs(value) >= _LIMIT:
        below = value < 0
        always = {">": below, ">=": below, "<": not below, "<=": not below, "=": False, "!=": True}[op]
        if op == "!=":
            return Condition("TRUE")
        return Condition(f"({sql} IS NOT NULL)" if always else "FALSE")
    floor = value.quantize(step, rounding=ROUND_FLOOR)
    if floor != value:
        if op == "=":
            return Condition("FALSE")
        if op == "!=":
            return Condition("TRUE")
        op = {">": ">", ">=": ">", "<": "<=", "<=": "<="}[op]
    return _compare(sql, op, f"CAST(? AS {kind})", floor)
