"""One JSON text for one content: what an order is compared by, and what is served.

The canonical form has sorted keys, exact numbers and no ``modifiedDate``, and lists lines and payments by their ids,
so that neither the order of keys nor that of a reordered answer looks like a change. The served form keeps Codat's
order of members and Clover's order of lines.

A payment keeps its ``modifiedDate`` as long as nothing else in it changes; everything that changed carries the
placeholder ``@loaded``, which whoever stores the document replaces by the time it is loaded.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.commerce import Order, Payment
from schemas.wire import encode, encode_sorted
from transforms.model import MappedOrder, PreviousVersion

LOADED = "@loaded"
_by_id = attrgetter("id")


class _Served(msgspec.Struct):
    """What is read back of a served order: the JSON members of its payments."""

    payments: list[dict[str, Any]] = []


_SERVED = msgspec.json.Decoder(_Served, float_hook=Decimal)


def content_hash(order: Order) -> str:
    """Fingerprint of an order without its ``modifiedDate`` and those of its payments, hexadecimal."""
    lines = sorted(order.order_line_items, key=_by_id)
    payments = sorted([_loaded(payment, None) for payment in order.payments], key=_by_id)
    canonical = order
    if order.modified_date is not None or lines != order.order_line_items or payments != order.payments:
        canonical = replace(order, order_line_items=lines, payments=payments, modified_date=None)
    return hashlib.sha256(encode_sorted(canonical)).hexdigest()


def payment_fingerprint(payment: Payment | Mapping[str, Any]) -> str:
    """Fingerprint of a payment without its ``modifiedDate``; of the record, or of its JSON members as served."""
    undated: object = (
        _loaded(payment, None)
        if isinstance(payment, Payment)
        else {name: value for name, value in payment.items() if name != "modifiedDate"}
    )
    return hashlib.blake2b(encode_sorted(undated), digest_size=16).hexdigest()


def payment_dates(document: str | bytes) -> dict[str, tuple[str, str]]:
    """From a served order: payment id -> (fingerprint, modifiedDate), as ``PreviousVersion`` wants it."""
    return {
        payment["id"]: (payment_fingerprint(payment), payment["modifiedDate"])
        for payment in _SERVED.decode(document).payments
        if payment.get("modifiedDate")
    }


def document(mapped: MappedOrder, previous: PreviousVersion | None) -> str:
    """The order as it is served, with ``@loaded`` wherever the time of loading belongs.

    Raises ValueError for an order that is held back.
    """
    if mapped.order is None:
        raise ValueError(f"order {mapped.order_id} is held back and has no document")
    known = previous.payment_dates if previous is not None else {}
    payments = []
    for payment in mapped.order.payments:
        kept = known.get(payment.id)
        is_unchanged = kept is not None and kept[0] == payment_fingerprint(payment)
        payments.append(_loaded(payment, kept[1] if kept is not None and is_unchanged else LOADED))
    return encode(replace(mapped.order, payments=payments, modified_date=LOADED)).decode()


def _loaded(payment: Payment, date: str | None) -> Payment:
    return payment if payment.modified_date == date else replace(payment, modified_date=date)
