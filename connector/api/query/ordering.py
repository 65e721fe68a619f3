"""``orderBy``: one property, ``-`` before it for descending; the id breaks every tie, so pages never overlap.

Missing values come first ascending and last descending. Text is compared by code point, as Codat's own
lists are ("1" before "10").
"""

from dataclasses import dataclass

from connector.api.query.fields import Field, Fields, UnknownPropertyError, resolve
from connector.api.query.sql import QueryError


@dataclass(frozen=True, slots=True)
class Order:
    """A total order of the rows of one data type."""

    name: str
    field: Field
    descending: bool
    id_sql: str

    @property
    def sql(self) -> str:
        """What follows ORDER BY, over the row alias ``v``."""
        if self.field.sql == self.id_sql:
            return self.id_sql + (" DESC" if self.descending else "")
        direction = "DESC NULLS LAST" if self.descending else "ASC NULLS FIRST"
        return f"{self.field.sql} {direction}, {self.id_sql}"


def read_order(text: str | None, fields: Fields, model: str, default: str = "id") -> Order:
    """The order a client asked for, else ascending by ``default``. Raises QueryError."""
    words = (text or "").strip()
    descending = words.startswith("-")
    name = words.removeprefix("-").strip() or default
    if descending and name == default and not words.removeprefix("-").strip():
        raise QueryError('Error parsing orderBy - "-" needs the name of a property', 1)
    try:
        exact, field = resolve(fields, name, model)
    except UnknownPropertyError as exc:
        raise QueryError(f"Error parsing orderBy - {exc}", 2 if descending else 1) from exc
    return Order(exact, field, descending, fields["id"].sql)
