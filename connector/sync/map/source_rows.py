"""What of a Clover record is kept beside the orders it became: everything but card and personal data.

The raw archive keeps what Clover sent, readable by the operator alone. The published file is read by analysts
and lenders, so the copy in it is cut down to what explains the numbers.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from connector.sync.link.links import ORDER
from connector.sync.link.notebook import KeptRecord
from connector.sync.map.kept_text import kept_text
from schemas.times import from_ms, ledger_text

Row = Mapping[str, Any]

_PERSONAL = frozenset(
    {
        "email", "receipt_email", "receipt_url", "receipt_number", "billing_details", "shipping", "phone",
        "external_customer_reference", "gift_card", "stored_credentials", "saved_credentials_on_file",
        "threeds", "level2", "level3", "metadata", "firstName", "lastName", "cards", "addresses",
        "emailAddresses", "phoneNumbers", "note",
    }
)  # fmt: skip
_CUT_DOWN = frozenset({"source", "metadata"})  # whatever they hold, only a few members of an object are kept
_METADATA_THAT_EXPLAINS = frozenset({"refundType", "gatewayResponseCode"})
_PLAIN = frozenset({int, bool, float, type(None)})
_EMAIL = re.compile(r"[^\s@\"<>]+@[^\s@\"<>]+\.[A-Za-z]{2,}")
_CARD = re.compile(r"\b(?:\d[ -]?){13,19}\b")
_MOMENT = re.compile(r"1\d{12}")  # milliseconds as text: no card of thirteen digits begins with a 1


def digest(row: object) -> str:
    """A stable fingerprint of a JSON value: equal for equal content whatever the order of its keys."""
    return fingerprint(row)[1]


def fingerprint(row: object) -> tuple[bytes, str]:
    """(JSON with sorted keys, its digest)."""
    text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    return text, hashlib.blake2b(text, digest_size=16).hexdigest()


def without_personal_data(row: Row) -> dict[str, Any]:
    """A copy of a Clover record without names, addresses, e-mails, card data or free notes."""
    kept = {}
    for key, value in row.items():
        if key in _PERSONAL and key != "metadata":
            continue
        kind = type(value)
        if kind is str:
            # Letters and digits alone are no address, and with a letter among them no card number: most are ids.
            is_plain = len(value) < 6 or (value.isalnum() and not value.isdecimal())
            kept[key] = value if is_plain and key not in _CUT_DOWN else _clean(key, value)
        else:
            kept[key] = value if kind in _PLAIN else _clean(key, value)
    return kept


def source_row(ids: Mapping[str, str], record: KeptRecord, row: Row | None = None) -> dict[str, Any]:
    """A staged record as the row that explains an order. ids: company_id, connection_id.

    row: its payload, decoded, where the caller has it already.
    """
    text = kept_text(record.kind, record.payload)
    if text is None:
        row = orjson.loads(record.payload) if row is None else row
        text = orjson.dumps(without_personal_data(row), option=orjson.OPT_SORT_KEYS)
    return {
        **ids,
        "kind": record.kind,
        "record_id": record.id,
        "order_id": record.order_id,
        "charge_id": record.charge_id,
        "created_at": None if record.created_ms is None else ledger_text(from_ms(record.created_ms)),
        "list_hash": record.list_hash,
        "names": (orjson.loads(record.names) if record.names != "[]" else [])
        if record.kind == ORDER
        else None,
        "content_hash": hashlib.blake2b(text, digest_size=16).hexdigest(),
        "is_deleted": False,
        "payload": text.decode(),
    }


def _clean(key: str, value: Any) -> Any:
    if key == "source":
        return {"brand": value["brand"]} if type(value) is dict and "brand" in value else {}
    if key == "metadata":
        if type(value) is not dict:
            return {}
        return {name: value[name] for name in sorted(_METADATA_THAT_EXPLAINS & value.keys())}
    if type(value) is dict:
        return without_personal_data(value)
    if type(value) is list:
        return [_clean(key, member) for member in value]
    if isinstance(value, str) and len(value) > 5:
        if "@" in value:
            value = _EMAIL.sub("[removed]", value)
        if len(value) >= 13 and not _MOMENT.fullmatch(value):
            value = _CARD.sub(_removed_if_card, value)
    return value


def _removed_if_card(found: re.Match[str]) -> str:
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    doubled = sum(sum(divmod(digit * 2, 10)) for digit in digits[-2::-2])
    is_card = (doubled + sum(digits[-1::-2])) % 10 == 0
    return "[removed]" if is_card else found[0]
