"""Webhook endpoints: list, create, delete, as Codat has them; their deliveries, and a test delivery."""

import base64
import ipaddress
import secrets
import uuid
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from connector.api.answer.body import json_answer
from connector.api.answer.errors import ApiError, no_record
from connector.api.answer.openapi import documented
from connector.api.state import Call, Reads, Writes
from connector.control import outbox
from connector.control import webhooks as api_webhooks
from connector.control.file import stamp
from connector.control.outbox import Delivery
from connector.control.webhooks import Webhook
from connector.outbound import refusal
from schemas.wire import encode

router = APIRouter(tags=["Webhooks"])
EVENT_TYPES = (
    "company.created",
    "company.deleted",
    "connection.created",
    "connection.connected",
    "connection.reconnected",
    "connection.disconnected",
    "connection.failed",
    "connection.deleted",
    "read.completed",
    "read.completed.initial",
)
WebhookId = Path(alias="webhookId", description="The endpoint's id.")
_EXAMPLE: dict[str, object] = {
    "id": "2f7ae6a1-2b7e-4c7c-9d8e-5f0a3c1b2d4e",
    "url": "https://lender.example.com/codat",
    "disabled": False,
    "eventTypes": ["read.completed"],
    "companyTags": [],
}
_DELIVERY_EXAMPLE = {
    "eventId": "evt_5f0c",
    "eventType": "read.completed",
    "generatedDate": "2026-11-22T04:00:12Z",
    "attempts": 1,
    "deliveredDate": "2026-11-22T04:00:13Z",
    "lastStatusCode": 200,
}


class WebhookBody(BaseModel):
    """Where events go and which. The address must be https, or http on this machine for trying out."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    url: Annotated[str, StringConstraints(max_length=2000)] = Field(
        examples=["https://lender.example.com/codat"]
    )
    event_types: Annotated[list[str], Field(max_length=50)] = Field(
        default_factory=list, alias="eventTypes", examples=[["read.completed"]]
    )
    company_tags: Annotated[list[str], Field(max_length=50)] | None = Field(default=None, alias="companyTags")
    disabled: bool | None = False

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port  # raises ValueError for a port that is none
        if parts.username or parts.password or not host:
            raise ValueError("must be an address with a host and without user name or password")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here(host)):
            raise ValueError("must begin with https://")
        return value

    @field_validator("event_types")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if unknown := [name for name in value if name not in EVENT_TYPES]:
            raise ValueError(
                f"unknown event types {', '.join(unknown[:3])}; there are {', '.join(EVENT_TYPES)}"
            )
        return value


def is_here(host: str) -> bool:
    """Whether a host is this machine by name or number."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_secret() -> str:
    """A signing secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


@router.get(
    "/webhooks",
    summary="List webhooks",
    description="The endpoints this key made or may see.",
    operation_id="list-webhook-consumers",
    **documented({"results": [_EXAMPLE]}),
)
def list_webhooks(call: Reads, request: Request) -> Response:
    """Codat wraps them in results; secrets are not shown again."""
    hooks = visible(call)
    call.rows = len(hooks)
    return json_answer(request, encode({"results": [_view(hook) for hook in hooks]}))


@router.post(
    "/webhooks",
    summary="Create a webhook",
    description=(
        "201 with the endpoint and, this once, its signing secret. Events are signed by Standard Webhooks:"
        " `webhook-id`, `webhook-timestamp`, `webhook-signature`."
    ),
    operation_id="create-webhook-consumer",
    **documented({**_EXAMPLE, "secret": "whsec_…"}, 400, status=201, about="Created."),
)
def create_webhook(call: Writes, request: Request, body: WebhookBody) -> Response:
    """It hears of the companies its key may see, no others."""
    if why := refusal(urlsplit(body.url).hostname or "", call.state.settings.private_networks):
        raise ApiError(400, f"Error processing request - not valid. url: {why}", details=(("url", why),))
    hook = Webhook(
        webhook_id=str(uuid.uuid4()),
        url=body.url,
        event_types=tuple(dict.fromkeys(body.event_types)),
        company_tags=tuple(body.company_tags or ()),
        companies=call.reader.companies,
        secret=new_secret(),
        disabled=bool(body.disabled),
        created=stamp(call.now()),
    )
    api_webhooks.create_webhook(call.state.control, hook, key_id=call.reader.key_id)
    return json_answer(request, encode({**_view(hook), "secret": hook.secret}), status=201)


@router.delete(
    "/webhooks/{webhookId}",
    summary="Delete a webhook",
    description="The endpoint and what was still to be sent to it.",
    operation_id="delete-webhook-consumer",
    **documented(None, status=204, about="Deleted."),
)
def delete_webhook(call: Writes, webhook_id: str = WebhookId) -> Response:
    """404 for one of another key's companies."""
    api_webhooks.delete_webhook(call.state.control, one_webhook(call, webhook_id).webhook_id)
    return Response(status_code=204)


@router.get(
    "/webhooks/{webhookId}/deliveries",
    summary="Deliveries of a webhook",
    description="The newest hundred: what was sent, how often it was tried, and when it is tried again.",
    operation_id="list-webhook-deliveries",
    **documented({"results": [_DELIVERY_EXAMPLE]}),
)
def list_deliveries(call: Reads, request: Request, webhook_id: str = WebhookId) -> Response:
    """Ours; Codat shows them in its portal."""
    hook = one_webhook(call, webhook_id)
    found = outbox.deliveries_to(call.state.control, hook.webhook_id)
    call.rows = len(found)
    return json_answer(request, encode({"results": [_delivery(delivery) for delivery in found]}))


def visible(call: Call) -> list[Webhook]:
    """Endpoints that hear of no company beyond the key's own."""
    mine = call.reader.companies
    return [
        hook
        for hook in api_webhooks.list_webhooks(call.state.control)
        if mine is None or (hook.companies is not None and hook.companies <= mine)
    ]


def one_webhook(call: Call, webhook_id: str) -> Webhook:
    """Raises ApiError 404, for another key's as well."""
    for hook in visible(call):
        if hook.webhook_id == webhook_id:
            return hook
    raise no_record("webhooks", webhook_id)


def _view(hook: Webhook) -> dict[str, object]:
    return {
        "id": hook.webhook_id,
        "url": hook.url,
        "disabled": hook.disabled,
        "eventTypes": list(hook.event_types),
        "companyTags": list(hook.company_tags),
    }


def _delivery(delivery: Delivery) -> dict[str, object]:
    shown = {
        "eventId": delivery.event_id,
        "eventType": delivery.event_type,
        "generatedDate": delivery.noted,
        "attempts": delivery.attempts,
        "nextAttemptDate": delivery.next_try,
        "deliveredDate": delivery.delivered,
        "lastStatusCode": delivery.last_status,
        "lastError": delivery.last_error,
    }
    return {name: value for name, value in shown.items() if value is not None}
