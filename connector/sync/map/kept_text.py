"""What is kept of a record that comes as documented, as JSON: cut down without a look at every value.

The rule is ``source_rows.without_personal_data``; nothing is decided here. A record is read into the members that
Clover documents, of which the personal ones are named and left out, and written down again. What has any other member,
or a value of another kind, or text in which an address or a card number could hide, is refused and left to the rule.
A property test cuts every record down both ways.
"""

import re
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from connector.sync.link.links import CHARGE, ORDER, REFUND

_Text = str | None | UnsetType
_Whole = int | None | UnsetType
_Flag = bool | None | UnsetType


class _Documented(Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    pass


class _Source(Struct, omit_defaults=True, gc=False):
    """How it was paid: whatever else it holds, only the brand is kept."""

    brand: _Text = UNSET


class _Outcome(_Documented):
    network_status: _Text = UNSET
    type: _Text = UNSET


class _TaxRate(_Documented):
    name: _Text = UNSET
    tax_rate_uuid: _Text = UNSET
    rate: _Whole = UNSET
    tax_amount: _Whole = UNSET


class _Item(_Documented):
    amount: _Whole = UNSET
    amount_refunded: _Whole = UNSET
    currency: _Text = UNSET
    description: _Text = UNSET
    id: _Text = UNSET
    inventory_id: _Text = UNSET
    parent: _Text = UNSET
    quantity: _Whole = UNSET
    tax_rates: list[_TaxRate] | UnsetType = UNSET
    type: _Text = UNSET


class _Transitions(_Documented):
    canceled: _Whole = UNSET
    created: _Whole = UNSET
    fulfilled: _Whole = UNSET
    paid: _Whole = UNSET
    returned: _Whole = UNSET


class _Surcharge(_Documented):
    amount: _Whole = UNSET
    id: _Text = UNSET
    rate: _Whole = UNSET
    type: _Text = UNSET


class _Surcharges(_Documented):
    elements: list[_Surcharge] | UnsetType = UNSET


class _Tender(_Documented):
    id: _Text = UNSET
    label: _Text = UNSET
    label_key: _Text = UNSET


class _Metadata(Struct, omit_defaults=True, gc=False):
    refundType: _Text = UNSET  # noqa: N815 - as Clover writes it
    gatewayResponseCode: _Text = UNSET  # noqa: N815


class _PastCharge(_Documented):
    """A charge inside its order."""

    additional_charges: _Surcharges | UnsetType = UNSET
    amount: _Whole = UNSET
    amount_captured: _Whole = UNSET
    amount_refunded: _Whole = UNSET
    auth_code: _Text = UNSET
    captured: _Flag = UNSET
    created: _Whole = UNSET
    currency: _Text = UNSET
    customer: _Text = UNSET
    ecomind: _Text = UNSET
    external_reference_id: _Text = UNSET
    failure_code: _Text = UNSET
    failure_message: _Text = UNSET
    id: _Text = UNSET
    object: _Text = UNSET
    order: _Text = UNSET
    outcome: _Outcome | UnsetType = UNSET
    paid: _Flag = UNSET
    payment_method_details: _Text = UNSET
    ref_num: _Text = UNSET
    refunded: _Flag = UNSET
    source: _Source | UnsetType = UNSET
    status: _Text = UNSET
    tender: _Tender | UnsetType = UNSET
    tax_amount: _Whole = UNSET
    tip_amount: _Whole = UNSET
    voided: _Flag = UNSET


class _Charge(_PastCharge):
    billing_details: Any = UNSET
    receipt_email: Any = UNSET
    receipt_url: Any = UNSET
    shipping: Any = UNSET


class _Order(_Documented):
    additional_charges: _Surcharges | UnsetType = UNSET
    amount: _Whole = UNSET
    amount_paid: _Whole = UNSET
    amount_returned: _Whole = UNSET
    auth_code: _Text = UNSET
    charge: _Text = UNSET
    created: _Whole = UNSET
    currency: _Text = UNSET
    customer: _Text = UNSET
    ecomind: _Text = UNSET
    external_reference_id: _Text = UNSET
    id: _Text = UNSET
    items: list[_Item] | UnsetType = UNSET
    object: _Text = UNSET
    ref_num: _Text = UNSET
    source: _Source | UnsetType = UNSET
    status: _Text = UNSET
    past_charges: list[_PastCharge] | UnsetType = UNSET
    status_transitions: _Transitions | UnsetType = UNSET
    surcharge_amount: _Whole = UNSET
    tax_amount: _Whole = UNSET
    tax_amount_paid: _Whole = UNSET
    tip_amount: _Whole = UNSET
    email: Any = UNSET
    shipping: Any = UNSET


class _Refund(_Documented):
    amount: _Whole = UNSET
    charge: _Text = UNSET
    created: _Whole = UNSET
    currency: _Text = UNSET
    id: _Text = UNSET
    metadata: _Metadata | UnsetType = UNSET
    object: _Text = UNSET
    failure_reason: _Text = UNSET
    reason: _Text = UNSET
    status: _Text = UNSET
    voided: _Flag = UNSET


_PERSONAL = {
    ORDER: ("email", "shipping"),
    CHARGE: ("billing_details", "receipt_email", "receipt_url", "shipping"),
    REFUND: (),
}
_DECODERS = {
    kind: msgspec.json.Decoder(shape)
    for kind, shape in ((ORDER, _Order), (CHARGE, _Charge), (REFUND, _Refund))
}
_SORTED = msgspec.json.Encoder(order="sorted")
# A run of digits that could be a card number. A moment in milliseconds has thirteen of them and is no text.
_DIGITS = re.compile(rb"\d(?:[ -]?\d){12}")
_MOMENT = re.compile(rb'(?<!\\)":1\d{12}(?=[,}])')


def kept_text(kind: str, payload: bytes) -> bytes | None:
    """JSON with sorted keys of what is kept of a record, None if that is for the rule to say.

    payload: the record as JSON.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    try:
        record = decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    for name in _PERSONAL[kind]:
        setattr(record, name, UNSET)
    text = _SORTED.encode(record)
    if b"@" in text or len(_DIGITS.findall(text)) != len(_MOMENT.findall(text)):
        return None
    return text
