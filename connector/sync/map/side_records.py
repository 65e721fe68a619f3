"""Customers, products, locations and the rest: records beside the orders, gathered while orders are mapped.

Clover gives them no date of change, so each carries the date of the newest order that spoke of it. A newer
order's words win; what it leaves out is kept from before, so a guest-like order never empties a customer.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from connector.sync.map.source_rows import digest
from schemas.times import as_ledger_text, from_wire, ledger_text, wire_text
from schemas.wire import encode, members
from transforms.beside.merchant import company_info_of, location_of
from transforms.model import Merchant

Key = tuple[str, str]
Stored = Mapping[str, str]


class SideRecords:
    """Gathers records of one run. In memory: as many as the run met distinct customers and products."""

    def __init__(self) -> None:
        self._found: dict[Key, tuple[datetime, dict[str, Any]]] = {}

    def gather(self, data_type: str, record: Mapping[str, Any], as_of: datetime) -> None:
        """Take in one record (its Codat JSON members, without modifiedDate) as an order of ``as_of`` shows it."""
        key = (data_type, str(record["id"]))
        held = self._found.get(key)
        if held is None:
            self._found[key] = (as_of, dict(record))
        elif as_of >= held[0]:
            self._found[key] = (as_of, _merge(newer=record, older=held[1]))
        else:
            self._found[key] = (held[0], _merge(newer=held[1], older=record))

    def ids(self, data_type: str) -> set[str]:
        """Ids of the records of one kind gathered so far."""
        return {record_id for found, record_id in self._found if found == data_type}

    def rows(
        self, company_id: str, connection_id: str, stored: Callable[[str, list[str]], Stored]
    ) -> Iterator[dict[str, Any]]:
        """Rows of ``ledger.record_versions`` that differ from what is stored.

        stored: (data type, ids) -> the stored documents by id.
        """
        by_type: dict[str, list[str]] = {}
        for data_type, record_id in sorted(self._found):
            by_type.setdefault(data_type, []).append(record_id)
        for data_type, ids in by_type.items():
            documents = stored(data_type, ids)
            for record_id in ids:
                as_of, record = self._found[data_type, record_id]
                before = documents.get(record_id)
                if before is not None:
                    old = orjson.loads(before)
                    old.pop("modifiedDate", None)
                    dated = old.pop("sourceModifiedDate", None)
                    if dated and from_wire(dated) > as_of:
                        as_of, record = from_wire(dated), _merge(newer=old, older=record)
                    else:
                        record = _merge(newer=record, older=old)
                    if digest(record) == digest(old):
                        continue
                yield _row(company_id, connection_id, data_type, record_id, as_of, record)


def merchant_records(merchant: Merchant) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records that the merchant itself is: its location and its company info."""
    yield "locations", members(location_of(merchant))
    yield "companyInfo", {"id": merchant.merchant_id, **members(company_info_of(merchant))}


def _merge(*, newer: Mapping[str, Any], older: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**older, **{name: value for name, value in newer.items() if value not in (None, "", [])}}
    dates = [record["createdDate"] for record in (newer, older) if record.get("createdDate")]
    if dates:
        merged["createdDate"] = min(dates)
    return merged


def _row(
    company_id: str,
    connection_id: str,
    data_type: str,
    record_id: str,
    as_of: datetime,
    record: Mapping[str, Any],
) -> dict[str, Any]:
    document = {
        **record,
        "modifiedDate": "@loaded",
        "sourceModifiedDate": wire_text(as_of),
    }
    return {
        "company_id": company_id,
        "connection_id": connection_id,
        "data_type": data_type,
        "record_id": record_id,
        "source_modified_date": ledger_text(as_of),
        "content_hash": digest(record),
        "is_deleted": False,
        "name": record.get("customerName") or record.get("name") or record.get("companyName"),
        "created_date": as_ledger_text(record.get("createdDate")),
        "doc": encode(document).decode(),
    }
