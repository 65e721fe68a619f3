"""The sealed evidence file of a connection, and the public key that checks it."""

import base64
import tempfile
from datetime import UTC
from pathlib import Path as FilePath
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from connector.api.answer.body import chosen_type, json_answer
from connector.api.answer.openapi import documented
from connector.api.answer.params import AsOf, CompanyId, ConnectionId
from connector.api.answer.quality import Quality
from connector.api.evidence.key import fingerprint, public_half, signing_key
from connector.api.evidence.seal import Evidence, seal
from connector.api.reading import reading
from connector.api.routes.history import CONNECTION
from connector.api.state import Reads
from schemas.wire import encode_present

router = APIRouter(tags=["Beyond Codat"])
ZIP = "application/zip"


def quality_members(quality: Quality) -> dict[str, Any]:
    """As plain JSON, amounts as numbers written exactly."""
    members: dict[str, Any] = msgspec.json.decode(encode_present(quality.members()))
    return members


@router.get(
    f"{CONNECTION}/evidence",
    summary="Sealed evidence",
    description=(
        "One ZIP with every order at a snapshot, the figures, the reconciliation, open issues, the hashes of Clover's"
        " records behind them and all loads, hashed and signed. `connector evidence verify FILE` checks it offline."
    ),
    operation_id="get-evidence",
    **documented({"format": "ZIP; see `connector evidence verify`"}, 400, 409, files=(ZIP,)),
)
def get_evidence(
    call: Reads, request: Request, company_id: CompanyId, connection_id: ConnectionId, as_of: AsOf = None
) -> Response:
    """Written whole before it is sent."""
    company = call.company(company_id)
    call.connection(company_id, connection_id)  # 404 before 406, so that it tells nothing of what is there
    chosen_type(request, ZIP)
    key = signing_key(call.state.settings.directory)
    with (
        reading(call, company_id, connection_id, as_of, watched=False) as here,
        tempfile.NamedTemporaryFile(prefix="connector-evidence-", suffix=".zip", delete=False) as file,
    ):
        path = FilePath(file.name)
        try:
            wanted = Evidence(
                company_id, company.name, connection_id, here.snapshot, quality_members(here.quality)
            )
            manifest = seal(here.publication, wanted, file, key=key, at=call.now().astimezone(UTC))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    call.rows = manifest["files"]["orders.ndjson"]["lines"]
    name = f"evidence-{connection_id}-{here.snapshot}.zip"
    remove = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type=ZIP, filename=name, background=remove)


@router.get(
    "/evidence/key",
    summary="The key that signs evidence",
    description="Keep it apart from the files it checks: `connector evidence verify FILE --key FINGERPRINT`.",
    operation_id="get-evidence-key",
    **documented({"algorithm": "Ed25519", "publicKey": "…", "fingerprint": "5f0c…"}),
)
def get_key(call: Reads, request: Request) -> Response:
    """The public half only."""
    public = public_half(signing_key(call.state.settings.directory))
    about = {
        "algorithm": "Ed25519",
        "publicKey": base64.b64encode(public).decode(),
        "fingerprint": fingerprint(public),
    }
    return json_answer(request, encode_present(about))
