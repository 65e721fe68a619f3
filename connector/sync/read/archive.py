"""Stages every record of the kept raw payloads again, so that orders can be mapped anew without calling Clover.

Answers are replayed in the order in which they were received, so the last word on every record wins, as it did
when it was first read. What Clover deleted is known to the store, for a 404 leaves no payload. Answers of runs that
failed are left out, and so are orders of which not every record is kept any more: they stay as they are.
"""

from pathlib import Path
from typing import Any

import orjson

from connector.clover.archive import ArchivedPage, read_archive
from connector.clover.http.envelope import unwrap
from connector.clover.lists.streams import STREAMS, RowShape, Stream, is_sparse, shape_of
from connector.ledger.stored import Stored
from connector.progress import Progress
from connector.sync.link.links import CHARGE, ORDER
from connector.sync.link.notebook import Staging
from connector.sync.map.source_rows import digest
from connector.sync.read.intake import Intake, Seen, stage_embedded_refunds, staged
from schemas.times import from_ms


def stage_archive(raw_directory: Path, stored: Stored, staging: Staging, progress: Progress) -> Intake:
    """Stage the archive of one connection and mark its orders dirty."""
    intake = Intake()
    progress.stage("extract")
    loaded = stored.loaded_runs()
    for page in read_archive(raw_directory, stored.connection_id):
        progress.advance()
        if page.status == 200 and page.run_id in loaded:
            _stage_page(page, staging, intake)
    partly_kept: set[str] = set()
    for kind, record_id, order_id, is_deleted in stored.all_records():
        if is_deleted:
            staging.mark_gone(kind, record_id)
        elif (
            not staging.holds(kind, record_id)
            and not _stage_pointer(kind, record_id, staging)
            and order_id is not None
        ):
            partly_kept.add(order_id)
    partly_kept |= {order_id for _, _, order_id in stored.unusable_records() if order_id is not None}
    # A 404 leaves no payload: an order that charges name and that was never read is one that Clover does not have.
    for order_id in staging.links.orders_only_named():
        staging.mark_gone(ORDER, order_id)
    staging.links.resolve(stored)
    staging.note_shared_references([])
    staging.leave_out(staging.links.entangled(partly_kept))
    return intake


def _stage_page(page: ArchivedPage, staging: Staging, intake: Intake) -> None:
    by_path = {stream.path: stream for stream in STREAMS.values()}
    stream = by_path.get(page.path)
    if stream is None:
        stream = by_path.get(page.path.rsplit("/", 1)[0])
        rows: list[object] = [page.body]
        is_list = False
    else:
        is_list = True
        rows = list(unwrap(page.body, path=page.path).rows)
    if stream is None:
        return
    asked = dict(page.params)
    charge_id = asked.get("charge")
    seen_at = Seen.by_id(page.at)
    for row in rows:
        if isinstance(row, dict) and row.get("id"):
            intake.rows[stream.kind] += 1
            _stage_row(stream, row, seen_at, staging, is_list=is_list)
    if charge_id is not None:
        shown = [str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")]
        staging.links.note_shown(charge_id, shown)


def _stage_row(
    stream: Stream, row: dict[str, Any], seen_at: Seen, staging: Staging, *, is_list: bool
) -> None:
    record_id, list_hash = str(row["id"]), digest(row)
    if is_list and is_sparse(stream, row):
        # Only a pointer: the record itself follows in an answer of its own, and keeps this fingerprint.
        staging.note_seen(stream.kind, [(record_id, list_hash)])
        staging.point_at(stream.kind, [(record_id, list_hash, seen_at.booked_ms, orjson.dumps(row))])
        # A silent row that is new was believed, unless the record itself follows and takes its place.
        is_new = staging.kept_hash(stream.kind, record_id) != list_hash
        if not is_new or shape_of(stream, row) is not RowShape.SILENT:
            return
    record = staged(stream.kind, row, staging.list_hash(stream.kind, record_id) or list_hash, seen_at)
    staging.add([record])
    if stream.kind == CHARGE:
        stage_embedded_refunds([row], staging, seen_at)


def _stage_pointer(kind: str, record_id: str, staging: Staging) -> bool:
    """A record that only its list shows (by id Clover answers 404) is its list row; whether there was one."""
    pointer = staging.pointed_at(kind, record_id)
    if pointer is None or pointer[1] is None or pointer[2] is None:
        return False
    seen_at = Seen(from_ms(pointer[1]), pointer[1])
    staging.add([staged(kind, orjson.loads(pointer[2]), pointer[0], seen_at)])
    return True
