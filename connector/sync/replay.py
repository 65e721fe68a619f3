"""Stages every record of the kept raw payloads again, so that orders can be mapped anew without calling Clover.

Answers are replayed in the order in which they were received, so the last word on every record wins, as it did
when it was first read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.clover.archive import ArchivedPage, read_archive
from connector.clover.envelope import unwrap
from connector.clover.streams import STREAMS, Stream, is_sparse
from connector.progress import Progress
from connector.sync.intake import Intake, stage_embedded_refunds, staged
from connector.sync.lineage import digest
from connector.sync.staging import CHARGE, REFUND, Staging

_BY_PATH: Mapping[str, Stream] = {stream.path: stream for stream in STREAMS}


def stage_archive(raw_directory: Path, connection_id: str, staging: Staging, progress: Progress) -> Intake:
    """Stage the archive of one connection and mark all its orders dirty."""
    intake = Intake()
    progress.stage("extract")
    for page in read_archive(raw_directory, connection_id):
        progress.advance()
        if page.status == 200:
            _stage_page(page, staging, intake)
    staging.join_refunds_to_orders()
    staging.note_shared_references([])
    staging.dirty_from_records()
    return intake


def _stage_page(page: ArchivedPage, staging: Staging, intake: Intake) -> None:
    stream = _BY_PATH.get(page.path)
    if stream is None:
        stream = _BY_PATH.get(page.path.rsplit("/", 1)[0])
        rows: list[object] = [page.body]
    else:
        rows = list(unwrap(page.body, path=page.path).rows)
    if stream is None:
        return
    charge_id = dict(page.params).get("charge")
    for row in rows:
        if isinstance(row, dict) and row.get("id"):
            intake.rows[stream.kind] += 1
            _stage_row(stream, row, charge_id, staging)


def _stage_row(stream: Stream, row: dict[str, Any], charge_id: str | None, staging: Staging) -> None:
    list_hash = digest(row)
    if stream.kind == REFUND and charge_id:
        row = {**row, "charge": row.get("charge") or charge_id}
    if is_sparse(stream, row):
        # Only a pointer: the record itself follows in an answer of its own, and keeps this fingerprint.
        staging.note_seen(stream.kind, [(str(row["id"]), list_hash)])
        return
    record = staged(stream.kind, row, staging.list_hash(stream.kind, str(row["id"])) or list_hash)
    staging.add([record])
    if stream.kind == CHARGE:
        stage_embedded_refunds([record], staging)
