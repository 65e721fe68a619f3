"""The application: routes, error bodies, start and stop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from connector.api.answer.body import JSON, VERSION
from connector.api.answer.errors import ApiError, body
from connector.api.answer.openapi import describe
from connector.api.door.middleware import Front
from connector.api.door.pages import Pages
from connector.api.routes import changes as change_feed
from connector.api.routes import (
    companies,
    connections,
    data,
    evidence,
    excel,
    files,
    health,
    metrics,
    platform,
    restatement,
    status,
    webhooks,
)
from connector.api.routes import history as beyond
from connector.api.state import ApiSettings, ApiState, call_of
from connector.api.webhook_delivery import Dispatcher
from schemas.wire import encode

ABOUT = """\
Companies, connections and commerce data of Clover merchants, as Codat's API answers them: Codat's own clients work
with only the server URL changed. Beyond Codat: the state as of any past snapshot, the versions of an order, the
source records behind each number, and proof of completeness.

Amounts are in major units of the currency. Times are UTC. Members without a value are left out.
"""


def create_app(settings: ApiSettings, *, dispatch: bool = False, pages: Pages | None = None) -> FastAPI:
    """The server over one store. ``dispatch``: also send webhooks, in a thread of this process. pages: for people."""
    state = ApiState(settings)
    dispatcher = Dispatcher(state) if dispatch else None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if dispatcher is not None:
            dispatcher.start()
        yield
        if dispatcher is not None:
            dispatcher.stop()
        state.close()

    app = FastAPI(
        title="Clover commerce data, Codat-compatible",
        version=VERSION,
        description=ABOUT,
        lifespan=lifespan,
        openapi_url=None,  # served below: written out once, not for each who asks
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.api = state
    app.state.pages = pages
    app.add_middleware(Front, state=state, pages=pages)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    lists = APIRouter()
    data.add_routes(lists)
    for router in (
        health.router,
        companies.router,
        connections.router,
        status.router,
        beyond.router,
        change_feed.router,
        restatement.router,
        files.router,
        evidence.router,
        platform.router,
        excel.router,
        lists,
        data.router,
        metrics.router,
        webhooks.router,
    ):
        app.include_router(router)
    if pages is not None:
        pages.mount(app)
    describe(app)
    written = cache(lambda: encode(app.openapi()))
    app.add_api_route("/openapi.json", lambda: Response(written(), media_type=JSON), include_in_schema=False)
    return app


def _answer(request: Request, error: ApiError) -> Response:
    pages: Pages | None = request.app.state.pages
    if pages is not None and pages.owns(request.scope["path"]):
        return pages.refusal(call_of(request), request.scope["path"], request.url.query, error)
    content = body(error, call_of(request).correlation_id)
    return Response(content, status_code=error.status, media_type=JSON, headers=dict(error.headers))


async def _api_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, ApiError)
    return _answer(request, exc)


async def _http_error(request: Request, exc: Exception) -> Response:
    """The framework's own 404 and 405; and what it wraps when reading a body was refused."""
    assert isinstance(exc, HTTPException)
    if isinstance(exc.__cause__, ApiError):
        return _answer(request, exc.__cause__)
    words = {404: "Not Found", 405: "Method Not Allowed"}.get(exc.status_code, str(exc.detail))
    return _answer(request, ApiError(exc.status_code, words, headers=dict(exc.headers or {})))


async def _invalid(request: Request, exc: Exception) -> Response:
    """A parameter or body that does not fit is a 400; Codat's clients know no 422."""
    assert isinstance(exc, RequestValidationError)
    details = tuple(
        (".".join(str(part) for part in error["loc"][1:]) or "body", str(error["msg"]))
        for error in exc.errors()
    )
    words = "; ".join(f"{where}: {what}" for where, what in details[:3])
    return _answer(request, ApiError(400, f"Error processing request - not valid. {words}", details=details))
