"""Views of the published file as Parquet or CSV, the rows of one company, as ``connector export`` writes them.

A file is written whole before its first byte is sent: its length, the SHA-256 of its bytes and its rows are in the
headers (``Repr-Digest`` is that of RFC 9530), so that a download can be proved whole.
"""

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from connector.api.answer.body import (
    CSV,
    JSON,
    PARQUET,
    VERSION,
    chosen_type,
    entity_tag,
    json_answer,
    unchanged,
)
from connector.api.answer.errors import ApiError, never_synced
from connector.api.answer.openapi import documented
from connector.api.answer.params import CompanyId
from connector.api.state import Call, Reads
from connector.ledger.database import reading_errors
from connector.ledger.published import DuckReader, NothingPublishedError
from connector.ledger.view_files import Exported, Format, Wanted, columns_of_views, mirror_in, write_view
from schemas.wire import encode_present

router = APIRouter(prefix="/companies/{companyId}/export", tags=["Beyond Codat"])
TYPES: dict[Format, str] = {"parquet": PARQUET, "csv": CSV}
# What goes beyond Codat's schema needs the scope that lineage needs.
_LINEAGE = frozenset({"source_records"})
_EXAMPLE = {"snapshotId": 42, "views": [{"view": "orders", "columns": {"order_id": "VARCHAR"}}]}


@router.get(
    "",
    summary="Views to download",
    description="The views that can be downloaded, with their columns. What each means: `connector dictionary`.",
    operation_id="list-exports",
    **documented(_EXAMPLE, 409),
)
def list_exports(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """Only views whose rows belong to a company."""
    call.company(company_id)
    with _reader(call) as reader, reading_errors(reader.path):
        views = _views(call, reader)
        answer = {
            "snapshotId": reader.snapshot_id,
            "views": [{"view": view, "columns": columns} for view, columns in views.items()],
        }
    call.rows = len(views)
    return json_answer(request, encode_present(answer))


@router.get(
    "/{view}",
    summary="Download a view",
    description=(
        "The company's rows of one view as `connector export` writes them, Parquet or CSV by `format` or `Accept`;"
        " with `Accept: application/json` the rows, columns and exact sums of the file instead. `Repr-Digest` and"
        " `X-Total-Results` prove a download whole. Views with Clover's own records need the scope `lineage`."
    ),
    operation_id="get-export",
    **documented(
        {
            "snapshotId": 42,
            "view": "orders",
            "rows": 1,
            "columns": {"order_id": "VARCHAR"},
            "sums": {"total_amount": {"USD": "43.0000"}},
            "sha256": "5f0c…",
        },
        400,
        409,
        files=(PARQUET, CSV),
    ),
)
def get_export(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    view: Annotated[str, Path(description="The view's name, such as `orders`.", examples=["orders"])],
    kind: Annotated[
        Format | None, Query(alias="format", description="Goes before `Accept`.", examples=["parquet"])
    ] = None,
    from_snapshot: Annotated[
        int | None,
        Query(
            alias="fromSnapshot",
            ge=0,
            le=10**17,
            description="Only what later snapshots changed; what is gone is in the view `changes`.",
            examples=[41],
        ),
    ] = None,
) -> Response:
    """The same bytes as the file of ``connector export --company``."""
    call.company(company_id)
    media = TYPES[kind] if kind else chosen_type(request, PARQUET, CSV, JSON)
    with _reader(call) as reader, reading_errors(reader.path):
        columns = _views(call, reader).get(view)
        if columns is None:
            raise ApiError(
                404, f"There is no view {view} to download; /companies/{company_id}/export lists them."
            )
        _check_since(reader, view, columns, from_snapshot)
        call.snapshot_id = reader.snapshot_id
        call.headers["x-snapshot-id"] = str(reader.snapshot_id)
        call.headers["x-snapshot-epoch"] = reader.epoch
        tag = entity_tag(VERSION, reader.path.name, company_id, view, media, from_snapshot)
        if (same := unchanged(request, tag)) is not None:
            return same
        directory = FilePath(tempfile.mkdtemp(prefix="connector-export-"))
        try:
            wanted = Wanted("csv" if media == CSV else "parquet", (view,), company_id, from_snapshot)
            with call.state.watchdog.over(reader.connection):
                written = write_view(reader.connection, directory, view, columns, wanted)
            call.rows = written.rows
            answer = _answer(request, reader, directory, written, media, tag)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
    return answer


def _answer(
    request: Request, reader: DuckReader, directory: FilePath, written: Exported, media: str, tag: str
) -> Response:
    path = directory / written.file
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    if media == JSON:
        shutil.rmtree(directory, ignore_errors=True)
        about = {
            "snapshotId": reader.snapshot_id,
            "view": written.view,
            "rows": written.rows,
            "columns": dict(written.columns),
            "sums": written.sums,
            "sha256": digest.hex(),
        }
        return json_answer(request, encode_present(about), tag=tag)
    headers = {
        "Vary": "Accept, Accept-Encoding",
        "ETag": tag,
        "X-Total-Results": str(written.rows),
        "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
    }
    remove = BackgroundTask(shutil.rmtree, directory, ignore_errors=True)
    return FileResponse(path, media_type=media, filename=path.name, headers=headers, background=remove)


@contextmanager
def _reader(call: Call) -> Iterator[DuckReader]:
    """A connection of its own: that of the other routes can write no file, and none of its settings can be changed."""
    try:
        with call.state.published.reader(call.company_id or "") as reader:
            yield reader
    except NothingPublishedError as exc:
        raise never_synced() from exc


def _views(call: Call, reader: DuckReader) -> dict[str, dict[str, str]]:
    hidden = frozenset() if "lineage" in call.reader.scopes else _LINEAGE
    return {
        view: columns
        for view, columns in columns_of_views(reader.connection).items()
        if "company_id" in columns and view not in hidden
    }


def _check_since(reader: DuckReader, view: str, columns: dict[str, Any], since: int | None) -> None:
    if since is None:
        return
    if mirror_in(reader.connection, view, columns) is None:
        raise ApiError(400, f"fromSnapshot: the rows of {view} belong to no snapshot; download it whole.")
    if since > reader.snapshot_id:
        raise ApiError(
            400, f"fromSnapshot: there is no snapshot {since}; the newest is {reader.snapshot_id}."
        )
