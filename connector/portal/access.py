"""Who is told and who has read: webhooks with their deliveries, and, for an operator's key, keys and the access log."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import RedirectResponse

from connector.api.answer.errors import ApiError, no_record
from connector.api.routes.webhooks import one_webhook, visible
from connector.api.state import call_of
from connector.control import outbox
from connector.control.access_log import read_access_log, read_refused
from connector.control.keys import list_keys
from connector.portal.entrance import SessionForm
from connector.portal.rendering import HOME, SAFE, is_operator, page

router = APIRouter()
WEBHOOKS = f"{HOME}/webhooks"
MOST_READS = 200
WebhookId = Annotated[str, Path(alias="webhookId")]


@router.get(WEBHOOKS)
def webhooks(request: Request) -> Response:
    """The endpoints this key made or may see, and the newest hundred deliveries of each."""
    call = call_of(request)
    call.require("read")
    hooks = visible(call)
    call.rows = len(hooks)
    return page(
        request,
        "webhooks.html",
        hooks=[(hook, outbox.deliveries_to(call.state.control, hook.webhook_id)) for hook in hooks],
        may_send="write" in call.reader.scopes,
    )


@router.post(f"{WEBHOOKS}/{{webhookId}}/resend")
def resend(request: Request, webhook_id: WebhookId, fields: SessionForm) -> Response:
    """Makes one delivery due at once; the server sends it within seconds, with the same id."""
    call = call_of(request)
    call.require("write")
    hook = one_webhook(call, webhook_id)
    event_id = fields.get("event", "")
    if not outbox.send_again(call.state.control, event_id, hook.webhook_id, now=call.now()):
        raise no_record("deliveries", event_id)
    return RedirectResponse(WEBHOOKS, 303, SAFE)


@router.get(f"{HOME}/keys")
def keys(request: Request, key: Annotated[str, Query()] = "") -> Response:
    """Every key there ever was, and who read what lately; for other keys there is no such page."""
    call = call_of(request)
    call.require("read")
    if not is_operator(call):
        raise ApiError(404, "Not Found")
    call.state.access_log.flush()
    chosen = key or None
    reads = read_access_log(call.state.control, key_id=chosen, most=MOST_READS)
    call.rows = len(reads)
    return page(
        request,
        "keys.html",
        keys=[(one, one.is_good(call.now())) for one in list_keys(call.state.control)],
        chosen=key,
        reads=reads,
        refused=read_refused(call.state.control, key_id=chosen, most=30),
    )
