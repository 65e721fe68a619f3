"""Whether the server lives and can answer, and its Prometheus figures.

None of it needs a key, and none of it names a company.
"""

import os
from typing import Any

import duckdb
from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from connector.api.answer.body import JSON
from connector.api.state import call_of
from connector.errors import ConnectorError
from connector.ledger.published import NothingPublishedError
from schemas.wire import encode

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series and say no more than a restart does

router = APIRouter(tags=["Health"])
_OK: dict[int | str, dict[str, Any]] = {
    200: {"description": "Yes.", "content": {"application/json": {"example": {"status": "ok"}}}}
}
_NOT_YET: dict[int | str, dict[str, Any]] = {503: {"description": "Not yet; wait `Retry-After` seconds."}}


@router.get(
    "/health/live", summary="Is the process alive?", description="Yes, if it answers.", responses={**_OK}
)
async def live() -> Response:
    """For a supervisor that restarts: answers also while every thread is busy."""
    return Response(b'{"status":"ok"}', media_type=JSON)


@router.get(
    "/health",
    summary="Can it answer?",
    description="The same as /health/ready.",
    responses={**_OK, **_NOT_YET},
)
@router.get(
    "/health/ready",
    summary="Can it answer?",
    description="Both files of the store can be read, and no request has found the published one damaged."
    " `published` is false before the first sync.",
    responses={**_OK, **_NOT_YET},
)
def ready(request: Request) -> Response:
    """For a load balancer."""
    call = call_of(request)
    published = readable = True
    try:
        call.state.control.row("SELECT 1")
        try:
            if (states := call.state.published.states()) is not None:
                published = bool(states)
            else:
                with call.publication() as publication:
                    publication.cursor.execute("SELECT 1").fetchone()
            readable = not call.state.published.damaged
        except NothingPublishedError:
            published = False
    except (ConnectorError, duckdb.Error, OSError):
        readable = False
    if not readable:
        return Response(
            b'{"status":"unavailable"}', status_code=503, media_type=JSON, headers={"Retry-After": "5"}
        )
    return Response(encode({"status": "ok", "published": published}), media_type=JSON)


@router.get(
    "/metrics",
    summary="Prometheus figures",
    description="Requests and times by route; no companies.",
    responses={200: {"description": "Text in Prometheus' format.", "content": {"text/plain": {}}}},
)
def metrics() -> Response:
    """For Prometheus; of all workers, where there are several."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
