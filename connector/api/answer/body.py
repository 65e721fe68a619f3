"""Answers that are already JSON text: entity tags, compression, and nothing parsed on the way out."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from connector.api.answer.errors import ApiError
from schemas.wire import encode

JSON = "application/json"
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
try:  # part of tags: a new version may write the same data differently
    VERSION = version("clover-codat-connector")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0"
_WORTH_COMPRESSING = 1024  # bytes
_LEVEL = 1  # the fastest: a page is sent once and thrown away


def entity_tag(*parts: object) -> str:
    """A weak tag: the same content may travel compressed or not."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=12).hexdigest()
    return f'W/"{digest}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """304 when the client already holds this."""
    held = [part.strip() for part in request.headers.get("if-none-match", "").split(",")]
    if tag in held or "*" in held or tag.removeprefix("W/") in held:
        return Response(status_code=304, headers={"ETag": tag, "Vary": "Accept, Accept-Encoding"})
    return None


def json_answer(request: Request, body: bytes, *, tag: str | None = None, status: int = 200) -> Response:
    """``body`` as it is, compressed when the client reads that; 304 when it holds it already."""
    if request.method == "GET" and status == 200:
        chosen_type(request, JSON)
    tag = tag or entity_tag(hashlib.blake2b(body, digest_size=12).hexdigest())
    if status == 200 and request.method == "GET" and (same := unchanged(request, tag)) is not None:
        return same
    body, headers = compressed(request, body)
    if request.method == "GET":
        headers["ETag"] = tag
    return Response(body, status_code=status, media_type=JSON, headers=headers)


def compressed(request: Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    """The body as it travels, smaller where the client reads that and it is worth it, and the headers that say so."""
    headers = {"Vary": "Accept, Accept-Encoding"}
    if len(body) >= _WORTH_COMPRESSING and _reads_gzip(request):
        body = gzip.compress(body, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return body, headers


def chosen_type(request: Request, *offered: str) -> str:
    """What the client would rather have of what is offered; the first of equals. Raises ApiError 406.

    The closest range of ``Accept`` decides for each type, as RFC 9110 has it.
    """
    accepted = request.headers.get("accept", "").strip()
    if not accepted:
        return offered[0]
    ranges: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranges[name] = max(ranges.get(name, 0.0), float(quality))
        except ValueError:
            ranges[name] = 1.0

    def wanted(name: str) -> float:
        closest = (r for r in (name, name.split("/")[0] + "/*", "*/*") if r in ranges)
        return ranges.get(next(closest, ""), 0.0)

    best = max(offered, key=wanted)
    if not wanted(best):
        raise ApiError(406, f"Not Acceptable: this is offered as {', '.join(offered)}.")
    return best


def lines_answer(request: Request, chunks: Iterator[str], *, tag: str, snapshot: int, total: int) -> Response:
    """A whole list, one JSON document a line, sent while it is read; the last line says that it is whole.

    It holds the snapshot, how many records came before it, and the SHA-256 of all bytes before it, uncompressed.
    total: how many records there are to come; in a header, for who wants to know before.
    """
    headers = {"Vary": "Accept, Accept-Encoding", "ETag": tag, "X-Total-Results": str(total)}
    pieces: Iterable[bytes] = _closed(chunks, snapshot)
    if _reads_gzip(request):
        headers["Content-Encoding"] = "gzip"
        pieces = _compressed(pieces)
    return StreamingResponse(pieces, media_type=NDJSON, headers=headers)


def _closed(chunks: Iterator[str], snapshot: int) -> Iterator[bytes]:
    digest, rows = hashlib.sha256(), 0
    for chunk in chunks:
        piece = chunk.encode()
        digest.update(piece)
        rows += piece.count(b"\n")
        yield piece
    closing = {"snapshotId": snapshot, "rows": rows, "sha256": digest.hexdigest()}
    yield encode({"_closing": closing}) + b"\n"


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    for piece in pieces:
        if packed := packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH):
            yield packed
    yield packer.flush()


def _reads_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, quality = part.strip().partition(";")
        if name == "gzip" and quality.replace(" ", "") not in ("q=0", "q=0.0"):
            return True
    return False
