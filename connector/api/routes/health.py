"""Whether the server lives and can answer, its Prometheus figures, and the page at ``/``.

None of it needs a key, and none of it names a company.
"""

import html
import os
from typing import Any

import duckdb
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from connector.api.answer.body import JSON, VERSION
from connector.api.state import call_of
from connector.errors import ConnectorError
from connector.ledger.published import NothingPublishedError
from schemas.wire import encode

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


@router.get(
    "/",
    summary="The portal page",
    description="How to call this server.",
    responses={200: {"description": "A page for people.", "content": {"text/html": {}}}},
)
def portal(request: Request) -> Response:
    """One page, no scripts, nothing loaded from elsewhere."""
    url = html.escape(call_of(request).state.settings.public_url)
    return Response(_PAGE.format(url=url, version=html.escape(VERSION)), media_type="text/html")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Commerce data of Clover merchants</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1b1f24 }}
pre {{ background: #f4f5f7; padding: .8rem 1rem; overflow-x: auto; border-radius: 6px }}
code {{ font-size: .92em }} h1 {{ font-size: 1.6rem }} h2 {{ font-size: 1.15rem; margin-top: 2rem }}
footer {{ margin-top: 3rem; color: #667; font-size: .85em }}
</style></head><body>
<h1>Commerce data of Clover merchants</h1>
<p>This server answers as Codat's API does: paths, bodies, query language and errors are the same, so Codat's own
clients work with only the server URL changed. It needs an API key, which the operator makes with
<code>connector keys create</code>.</p>
<h2>With curl</h2>
<pre>curl -u "$KEY:" "{url}/companies"
curl -u "$KEY:" "{url}/companies/$COMPANY/connections/$CONNECTION/data/commerce-orders?orderBy=-modifiedDate"</pre>
<h2>With Codat's Python client</h2>
<pre>from codat_lending import CodatLending
from codat_lending.models import shared
import base64

key = "Basic " + base64.b64encode(KEY.encode()).decode()
client = CodatLending(security=shared.Security(auth_header=key), server_url="{url}")
orders = client.sales.orders.list(request={{"company_id": COMPANY, "connection_id": CONNECTION}})</pre>
<h2>Beyond Codat</h2>
<p><code>asOf=</code> with a snapshot id or a time on every data route; <code>/versions</code> and
<code>/lineage</code> below an order; <code>/snapshots</code> and <code>/reconciliation</code> below a connection;
<code>Accept: application/x-ndjson</code> for a whole list as lines; <code>ETag</code> and gzip.</p>
<p><a href="/openapi.json">openapi.json</a> · <a href="/health">health</a> · <a href="/metrics">metrics</a></p>
<footer>Version {version}. A merchant is linked by the operator: <code>connector authorize</code>.</footer>
</body></html>
"""
