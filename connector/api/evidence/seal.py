"""The sealed evidence file: one connection at one snapshot, with everything that proves it, hashed and signed.

A ZIP that any tool opens:

    orders.ndjson         every order as it is served, one JSON document a line, by id
    figures.json          orders and totals by month (UTC) and currency, from the ledger's own columns
    reconciliation.json   the newest comparison of each day, stream and currency with Clover's own
    issues.json           what did not add up, of each order, open at the snapshot
    lineage.ndjson        the hash of each of Clover's records behind the orders, and the load it came with
    snapshots.json        every load up to the snapshot
    manifest.json         whose data, which snapshot, how complete; size, lines and SHA-256 of each file above
    signature.json        Ed25519 over the bytes of manifest.json, with the public key

How it is checked is in ``evidence_check``, which needs neither store nor network.
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.api.evidence.key import fingerprint, public_half
from connector.api.reads import history as api_history
from connector.api.reads import records as api_reads
from connector.api.reads.records import Scope, Selection, wire_time
from connector.control.file import stamp
from connector.ledger.published import Publication
from schemas.wire import number_text

FORMAT = "clover-codat-connector/evidence/1"
TOTALS = {
    "totalAmount": "total_amount",
    "totalRefund": "total_refund",
    "totalTaxAmount": "total_tax_amount",
    "totalDiscount": "total_discount",
    "totalGratuity": "total_gratuity",
}
_SOME_DAY = (2020, 1, 1, 0, 0, 0)  # the same state gives the same bytes, but for the time it was sealed
_LIVE = """company_id = $company AND connection_id = $connection AND NOT is_deleted
  AND snapshot_id <= $as_of AND (replaced_by IS NULL OR replaced_by > $as_of)"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What to seal. ``quality``: how far the data can be relied on, as JSON members without decimals."""

    company_id: str
    company_name: str
    connection_id: str
    snapshot: int
    quality: Mapping[str, Any]


def seal(
    publication: Publication, wanted: Evidence, target: IO[bytes], *, key: Ed25519PrivateKey, at: datetime
) -> dict[str, Any]:
    """Write the file; its manifest. Amounts in it are exact decimals in major units, as text."""
    scope = Scope(wanted.company_id, wanted.connection_id, wanted.snapshot)
    parts: dict[str, Iterable[str]] = {
        "orders.ndjson": api_reads.stream(
            publication, api_reads.ORDERS, scope, Selection(order=api_reads.ORDERS.id_sql)
        ),
        "figures.json": [_document(_figures(publication, wanted))],
        "reconciliation.json": [_document(_reconciliation(publication, wanted.connection_id))],
        "issues.json": [_document(_issues(publication, wanted))],
        "lineage.ndjson": _lineage(publication, wanted),
        "snapshots.json": [_document(_snapshots(publication, wanted))],
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        files = {name: _write(archive, name, chunks) for name, chunks in parts.items()}
        manifest = {
            "format": FORMAT,
            "sealedAt": stamp(at.astimezone(UTC)),
            "company": {"id": wanted.company_id, "name": wanted.company_name},
            "connectionId": wanted.connection_id,
            "snapshotId": wanted.snapshot,
            "dataQuality": dict(wanted.quality),
            "files": files,
        }
        content = _document(manifest).encode()
        public = public_half(key)
        signature = {
            "algorithm": "Ed25519",
            "publicKey": base64.b64encode(public).decode(),
            "fingerprint": fingerprint(public),
            "signature": base64.b64encode(key.sign(content)).decode(),
        }
        _write(archive, "manifest.json", [content.decode()])
        _write(archive, "signature.json", [_document(signature)])
    return manifest


def _document(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _write(archive: zipfile.ZipFile, name: str, chunks: Iterable[str]) -> dict[str, Any]:
    digest, size, lines = hashlib.sha256(), 0, 0
    entry = zipfile.ZipInfo(name, _SOME_DAY)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    with archive.open(entry, "w", force_zip64=True) as file:
        for chunk in chunks:
            piece = chunk.encode()
            digest.update(piece)
            size += len(piece)
            lines += piece.count(b"\n")
            file.write(piece)
    return {"bytes": size, "lines": lines, "sha256": digest.hexdigest()}


def _figures(publication: Publication, wanted: Evidence) -> list[dict[str, Any]]:
    sums = ", ".join(f"sum({column})" for column in TOTALS.values())
    rows = publication.cursor.execute(
        f"SELECT strftime(created_date, '%Y-%m'), currency, count(*), {sums} FROM ledger.order_versions"  # noqa: S608
        f" WHERE {_LIVE} GROUP BY ALL ORDER BY ALL",
        _values(wanted),
    ).fetchall()
    return [
        {"month": row[0], "currency": row[1], "orders": row[2]}
        | {name: number_text(amount) for name, amount in zip(TOTALS, row[3:], strict=True)}
        for row in rows
    ]


def _reconciliation(publication: Publication, connection_id: str) -> list[dict[str, Any]]:
    def amount(value: Any) -> str | None:
        return None if value is None else number_text(value)

    return [
        {
            "day": day.day.isoformat(),
            "stream": day.stream,
            "currency": day.currency,
            "reconciledAt": wire_time(day.reconciled_at),
            "cloverCount": day.clover_count,
            "cloverAmount": amount(day.clover_amount),
            "storedCount": day.stored_count,
            "storedAmount": amount(day.stored_amount),
            "explained": amount(day.explained),
            "unexplained": amount(day.unexplained),
            "detail": day.detail,
        }
        for day in api_history.reconciled_days(publication, connection_id)
    ]


def _issues(publication: Publication, wanted: Evidence) -> list[dict[str, Any]]:
    rows = publication.cursor.execute(
        "SELECT order_id, code, severity, detail, difference_minor, currency FROM ledger.data_issues"
        " WHERE connection_id = $connection AND first_seen_snapshot <= $as_of"
        " AND (resolved_snapshot IS NULL OR resolved_snapshot > $as_of) ORDER BY ALL",
        {"connection": wanted.connection_id, "as_of": wanted.snapshot},
    ).fetchall()
    names = ("orderId", "code", "severity", "detail", "differenceMinor", "currency")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _lineage(publication: Publication, wanted: Evidence) -> Iterator[str]:
    rows = publication.cursor.execute(
        "SELECT order_id, kind, record_id, content_hash, snapshot_id FROM ledger.source_records"  # noqa: S608
        f" WHERE {_LIVE} ORDER BY ALL",
        _values(wanted),
    )
    names = ("orderId", "kind", "id", "contentHash", "snapshotId")
    while found := rows.fetchmany(5000):
        yield "".join(
            json.dumps(dict(zip(names, row, strict=True)), separators=(",", ":")) + "\n" for row in found
        )


def _snapshots(publication: Publication, wanted: Evidence) -> list[dict[str, Any]]:
    found, _ = api_history.snapshots(publication, wanted.connection_id, limit=10**9, offset=0)
    return [
        {
            "snapshotId": one.snapshot_id,
            "runId": one.run_id,
            "loadedAt": wire_time(one.loaded_at),
            "ordersInserted": one.orders_inserted,
            "ordersUpdated": one.orders_updated,
            "ordersDeleted": one.orders_deleted,
        }
        for one in reversed(found)
        if one.snapshot_id <= wanted.snapshot
    ]


def _values(wanted: Evidence) -> dict[str, object]:
    return {"company": wanted.company_id, "connection": wanted.connection_id, "as_of": wanted.snapshot}
