"""The lists that are read from Clover's Ecommerce API, as data.

What a stream's records mean is left to ``schemas.clover`` and ``transforms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stream:
    """One list of Clover.

    kind: what one row is: charge, order or refund. path: of the list; a record is at ``path/id``.
    permission: what the app must be granted, as Clover's dashboard names it (docs.clover.com, Ecommerce
    app permissions). required_fields: a list row without one of these is only a pointer to the record.
    """

    kind: str
    path: str
    permission: str
    required_fields: tuple[str, ...]


CHARGES = Stream(
    "charge", "/v1/charges", "Read payments", ("amount", "currency", "created", "status", "order")
)
# Clover's own sample of an order list has rows without created and status, one of them without items:
# docs.clover.com, Paginate requests.
ORDERS = Stream("order", "/v1/orders", "Read orders", ("amount", "currency", "created", "status", "items"))
REFUNDS = Stream("refund", "/v1/refunds", "Read payments", ("amount", "charge", "created", "status"))

STREAMS = (CHARGES, ORDERS, REFUNDS)


def is_sparse(stream: Stream, row: Mapping[str, object]) -> bool:
    """Whether the list row lacks a field that the record itself should have; then read it by its id."""
    return any(row.get(name) in (None, "") for name in stream.required_fields)
