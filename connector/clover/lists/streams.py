"""The lists that are read from Clover's Ecommerce API, as data: ``STREAMS`` is the one place that names them.

Charges, orders and refunds make orders: how they are linked is in ``connector.sync.link.links``, what they mean in
``schemas.clover`` and ``transforms``. Any other stream stands beside the orders: its records are listed, kept and
compared like these, and ``beside`` makes Codat's records of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

Beside = Callable[[Mapping[str, Any]], Iterable[tuple[str, Mapping[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Stream:
    """One list of Clover.

    kind: what one row is, e.g. charge. path: of the list; a record is at ``path/id``.
    permission: what the app must be granted, as Clover's dashboard names it (docs.clover.com, Ecommerce
    app permissions). required_fields: a list row without one of these is only a pointer to the record. may_lack:
    the one of them that some records do not have. beside: None where the records make orders; else the transform of
    one record: (data type, Codat's members with an ``id``) of each record that stands beside the orders.
    """

    kind: str
    path: str
    permission: str
    required_fields: tuple[str, ...] = ()
    may_lack: str | None = None
    beside: Beside | None = None

    @property
    def name(self) -> str:
        """Of the list, as commands, cursors and runs name it."""
        return f"{self.kind}s"


CHARGES = Stream(
    "charge",
    "/v1/charges",
    "Read payments",
    ("amount", "currency", "created", "status", "order"),
    may_lack="order",
)
# Clover's own sample of an order list has rows without created and status, one of them without items:
# docs.clover.com, Paginate requests.
ORDERS = Stream("order", "/v1/orders", "Read orders", ("amount", "currency", "created", "status", "items"))
REFUNDS = Stream("refund", "/v1/refunds", "Read payments", ("amount", "charge", "created", "status"))

STREAMS: dict[str, Stream] = {stream.kind: stream for stream in (CHARGES, ORDERS, REFUNDS)}


class RowShape(Enum):
    """How much of its record a list row shows.

    WHOLE: all that is needed. SILENT: all but the field that some records do not have: whether this record has it, its
    row does not say, unless rows of the list are known to say it. SPARSE: too little; read it by its id.
    """

    WHOLE = auto()
    SILENT = auto()
    SPARSE = auto()


def shape_of(stream: Stream, row: Mapping[str, object]) -> RowShape:
    """How much of its record the list row shows."""
    lacking = [name for name in stream.required_fields if row.get(name) in (None, "")]
    if not lacking:
        return RowShape.WHOLE
    return RowShape.SILENT if lacking == [stream.may_lack] else RowShape.SPARSE


def is_sparse(stream: Stream, row: Mapping[str, object]) -> bool:
    """Whether the list row lacks a field that the record itself may have."""
    return shape_of(stream, row) is not RowShape.WHOLE


def agrees(stream: Stream, row: Mapping[str, object], record: Mapping[str, object]) -> bool:
    """Whether a record, read by id, says in all that is needed what its silent list row said."""
    return shape_of(stream, record) is RowShape.SILENT and all(
        row.get(name) == record.get(name) for name in stream.required_fields if name != stream.may_lack
    )
