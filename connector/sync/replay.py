"""Stages every record of the kept raw payloads again, so that orders can be mapped anew without calling Clover.

Answers are replayed in the order in which they were received, so the last word on every record wins, as it did
when it was first read. What Clover deleted is known to the store, for a 404 leaves no payload. Answers of runs that
failed are left out, and so are orders of which not every record is kept any more: they stay as they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.clover.archive import ArchivedPage, read_archive
from connector.clover.envelope import unwrap
from connector.clover.streams import STREAMS, Stream, is_sparse
from connector.progress import Progress
from connector.sync.intake import Intake, stage_embedded_refunds, staged
from connector.sync.known import Known
from connector.sync.lineage import digest
from connector.sync.staging import CHARGE, REFUND, Staging

_BY_PATH: Mapping[str, Stream] = {stream.path: stream for stream in STREAMS}


def stage_archive(raw_directory: Path, known: Known, staging: Staging, progress: Progress) -> Intake:
    """Stage the archive of one connection and mark its orders dirty."""
    intake = Intake()
    progress.stage("extract")
    loaded = known.loaded_runs()
    for page in read_archive(raw_directory, known.connection_id):
        progress.advance()
        if page.status == 200 and page.run_id in loaded:
            _stage_page(page, staging, intake)
    incomplete = set()
    for kind, record_id, order_id, is_deleted in known.all_records():
        if is_deleted:
            staging.mark_gone(kind, record_id)
        elif order_id is not None and not staging.holds(kind, record_id):
            incomplete.add(order_id)
    staging.join_refunds_to_orders()
    staging.note_shared_references([])
    staging.dirty_from_records()
    staging.leave_out(incomplete)
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
        stage_embedded_refunds([row], staging)
