"""Codat's platform operations that fit a connector which only reads: integrations, profile and settings, integrity."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fastapi import APIRouter, Path, Request, Response

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.companies import INTEGRATION_ID, PLATFORM_KEY, PLATFORM_NAME, SOURCE_ID
from connector.api.answer.errors import ApiError, no_record
from connector.api.answer.openapi import documented
from connector.api.answer.paging import Linked, envelope
from connector.api.answer.params import CompanyId, Listing, Paging
from connector.api.answer.resources import UNSUPPORTED
from connector.api.answer.small_lists import SmallList
from connector.api.query.fields import Field, Fields, Kind, text
from connector.api.reads import history as api_history
from connector.api.reads import integrity as api_integrity
from connector.api.reads.integrity import Matched, MatchedOrder
from connector.api.reads.records import wire_time
from connector.api.reads.runs import Run, reads_of, snapshot_at, states_of
from connector.api.routes.status import READ_TYPES, operation_id, run_status
from connector.api.state import Call, Reads, call_of
from connector.control import companies as api_companies
from connector.ledger.published import NothingPublishedError, Publication
from schemas.platform import DataType
from schemas.wire import encode_present, number_text

router = APIRouter(tags=["Platform"])
INTEGRITY = "/data/companies/{companyId}/assess/dataTypes/{dataType}/dataIntegrity"
INTEGRATIONS: Fields = {
    "id": text(""),
    "key": text(""),
    "name": text(""),
    "logoUrl": text(""),
    "enabled": Field(Kind.BOOLEAN, ""),
    "sourceId": text(""),
    "sourceType": text(""),
    "integrationId": text(""),
    "isOfflineConnector": Field(Kind.BOOLEAN, ""),
    "isBeta": Field(Kind.BOOLEAN, ""),
    "dataProvidedBy": text(""),
    "datatypeFeatures": Field(Kind.LIST, ""),
}
DATA_TYPE = Path(alias="dataType", description="`commerce-orders`; nothing else can be matched.")
_PERCENT = Decimal("0.01")
_SETTING_EXAMPLE = {
    "dataType": "commerce-orders",
    "fetchOnFirstLink": True,
    "syncSchedule": 1,
    "syncOrder": 0,
    "syncFromUtc": "2024-01-01T00:00:00Z",
    "isLocked": True,
}
_INTEGRATION_EXAMPLE = {
    "key": PLATFORM_KEY,
    "name": PLATFORM_NAME,
    "enabled": True,
    "sourceType": "Commerce",
    "logoUrl": "https://connector.example.com/",
}


def _integration(call: Call) -> dict[str, Any]:
    return {
        "id": PLATFORM_KEY,
        "key": PLATFORM_KEY,
        "name": PLATFORM_NAME,
        "logoUrl": f"{call.state.settings.public_url}/",
        "enabled": True,
        "sourceId": SOURCE_ID,
        "sourceType": "Commerce",
        "integrationId": INTEGRATION_ID,
        "isOfflineConnector": False,
        "isBeta": False,
        "dataProvidedBy": PLATFORM_NAME,
        "datatypeFeatures": [
            {
                "dataType": data_type.value,
                "supportedFeatures": [
                    {
                        "featureType": "Get",
                        "featureState": "NotSupported" if data_type in UNSUPPORTED else "Release",
                    }
                ],
            }
            for data_type in DataType
        ],
    }


@router.get(
    "/integrations",
    summary="List integrations",
    description="The one platform this connector reads: Clover, and which data types it gives.",
    operation_id="list-integrations",
    **documented(examples.page_of(_INTEGRATION_EXAMPLE, "/integrations"), 400),
)
def list_integrations(
    call: Reads,
    request: Request,
    asked: Listing,
) -> Response:
    """One entry."""
    return SmallList(INTEGRATIONS, "Integration").page(call, request, [_integration(call)], asked)


@router.get(
    "/integrations/{platformKey}",
    summary="Get an integration",
    description="`fqly` is Codat's key of Clover.",
    operation_id="get-integration",
    **documented(_INTEGRATION_EXAMPLE),
)
def get_integration(call: Reads, request: Request) -> Response:
    """404 for every other platform."""
    key = str(request.path_params["platformKey"])
    if key.lower() != PLATFORM_KEY:
        raise ApiError(404, f"The platform {key} is not offered; {PLATFORM_KEY} is Clover.")
    return json_answer(request, encode_present(_integration(call)))


@router.get(
    "/profile",
    summary="Get the profile",
    description="The server's name and address. Read-only: the operator's configuration decides. Holds no key.",
    operation_id="get-profile",
    **documented({"name": "Clover commerce data", "redirectUrl": "https://connector.example.com"}),
)
def get_profile(call: Reads, request: Request) -> Response:
    """``whiteListUrls`` is empty: there is no page that embeds this."""
    url = call.state.settings.public_url
    return json_answer(
        request, encode_present({"name": "Clover commerce data", "redirectUrl": url, "whiteListUrls": []})
    )


@router.get(
    "/profile/syncSettings",
    summary="Get the default sync settings",
    description="Empty: there are no defaults, each connection has a schedule of its own in the configuration.",
    operation_id="get-profile-syncSettings",
    **documented({"settings": [], "overridesDefaults": False}),
)
def get_default_settings(_call: Reads, request: Request) -> Response:
    """Read-only, like those of a company."""
    return json_answer(request, encode_present({"settings": [], "overridesDefaults": False}))


@router.get(
    "/companies/{companyId}/syncSettings",
    summary="Get a company's sync settings",
    description=(
        "What the operator's configuration says, the same for every data type: a run reads them together."
        " `syncSchedule` is the whole hours that at most lie between two syncs, 0 when they run only when asked for;"
        " of several connections the longest, and the earliest `syncFromUtc`. Read-only."
    ),
    operation_id="get-company-syncSettings",
    **documented({"companyId": "8a21…", "overridesDefaults": True, "settings": [_SETTING_EXAMPLE]}),
)
def get_sync_settings(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """Connections that the configuration does not know are read only when asked for."""
    call.company(company_id)
    planned = [
        call.state.settings.planned.get(row.connection_id)
        for row in api_companies.list_connections(call.state.control, company_id)
    ]
    since = min((one.since for one in planned if one is not None), default=None)
    hours = max((one.hours for one in planned if one is not None and one.hours is not None), default=0)
    settings = [
        {
            "dataType": data_type.value,
            "fetchOnFirstLink": True,
            "syncSchedule": hours,
            "syncOrder": 0,
            "syncFromUtc": None if since is None else f"{since.isoformat()}T00:00:00Z",
            "isLocked": True,
        }
        for data_type in READ_TYPES
    ]
    answer = {"companyId": company_id, "overridesDefaults": True, "settings": settings}
    return json_answer(request, encode_present(answer))


@router.get(
    "/companies/{companyId}/sync/{datasetId}/validation",
    summary="Validation of a read",
    description=(
        "What did not add up in the orders as that read left them: `errors` hold an order back, `warnings` are"
        " orders whose source contradicts itself. Empty for other data types."
    ),
    operation_id="get-data-validation",
    **documented(
        {"errors": [], "warnings": [{"itemId": "5K2XJ9T0ABCDE", "validatorName": "payments_total"}]}
    ),
)
def get_validation(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """By the id of an operation of the history."""
    call.company(company_id)
    dataset_id = str(request.path_params["datasetId"])
    try:
        with call.publication() as publication:
            for run in reads_of(publication, company_id):
                for data_type in READ_TYPES:
                    if operation_id(run.run_id, data_type) == dataset_id:
                        return json_answer(request, encode_present(_validation(publication, run, data_type)))
    except NothingPublishedError:
        pass
    raise no_record("validation", dataset_id)


def _validation(publication: Publication, run: Run, data_type: DataType) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"errors": [], "warnings": []}
    words = run_status(run)[1]
    if run.status == "failed" and words:
        found["errors"].append({"message": words, "validatorName": "read"})
    snapshot = run.snapshot_id
    if snapshot is None and run.finished_at is not None:
        snapshot = snapshot_at(publication, run.connection_id, run.finished_at)
    if data_type is DataType.ORDERS and snapshot is not None:
        for order_id, code, severity, detail in api_history.issues_at(
            publication, run.connection_id, snapshot
        ):
            if severity != "info":
                entry = {"itemId": order_id, "message": detail, "validatorName": code}
                found["errors" if severity == "error" else "warnings"].append(entry)
    return found


@router.get(
    f"{INTEGRITY}/status",
    summary="Data integrity status",
    description="Whether orders were matched with payments, over which days and amounts.",
    operation_id="get-data-integrity-status",
    **documented({"metadata": [{"type": "commerce-orders", "statusInfo": {"currentStatus": "Complete"}}]}),
)
def get_integrity_status(request: Request, company_id: CompanyId, data_type: str = DATA_TYPE) -> Response:
    """One entry a currency."""
    found, _, last = _matched(call_of(request), company_id, data_type)
    metadata = [
        {
            "type": data_type,
            "statusInfo": {"currentStatus": "Complete", "lastMatched": last},
            "amounts": {"min": one.least, "max": one.most, "currency": one.currency},
            "dates": {"minDate": wire_time(one.first), "maxDate": wire_time(one.last)},
        }
        for one in found
    ]
    return json_answer(request, encode_present({"metadata": metadata}))


@router.get(
    f"{INTEGRITY}/summaries",
    summary="Data integrity summaries",
    description=(
        "How many orders, and how much of their money, have paid payments of exactly their total and gratuity and"
        " no open warning or error."
    ),
    operation_id="get-data-integrity-summaries",
    **documented({"summaries": [{"type": "commerce-orders", "byCount": {"matchPercentage": 100}}]}),
)
def get_integrity_summaries(request: Request, company_id: CompanyId, data_type: str = DATA_TYPE) -> Response:
    """One entry a currency."""
    found, _, _ = _matched(call_of(request), company_id, data_type)
    summaries = [
        {
            "type": data_type,
            "byCount": _share(Decimal(one.matched), Decimal(one.orders)),
            "byAmount": {**_share(one.matched_amount, one.amount), "currency": one.currency},
        }
        for one in found
    ]
    return json_answer(request, encode_present({"summaries": summaries}))


@router.get(
    f"{INTEGRITY}/details",
    summary="Data integrity details",
    description="Each order with the payments that match it; `matches` is empty where they do not fit.",
    operation_id="list-data-integrity-details",
    **documented(examples.page_of({"id": "5K2XJ9T0ABCDE", "matches": []}, f"{INTEGRITY}/details"), 400),
)
def list_integrity_details(
    request: Request,
    company_id: CompanyId,
    asked: Paging,
    data_type: str = DATA_TYPE,
) -> Response:
    """By order id."""
    call = call_of(request)
    found, connections, _ = _matched(call, company_id, data_type)
    with call.publication() as publication:
        rows = api_integrity.matched_orders(
            publication, company_id, connections, limit=asked.size, offset=asked.offset
        )
    call.rows = len(rows)
    body = b",".join(encode_present(_detail(row)) for row in rows).decode()
    total = sum(one.orders for one in found)
    return json_answer(request, envelope(body, Linked.by(request, asked), total))


def _matched(call: Call, company_id: str, data_type: str) -> tuple[list[Matched], list[str], str | None]:
    call.require("read")
    call.company(company_id)
    if data_type != DataType.ORDERS:
        raise ApiError(404, f"Datatype {data_type} not supported by platform(s) Clover")
    connections = [c.connection_id for c in api_companies.list_connections(call.state.control, company_id)]
    try:
        with call.publication() as publication:
            states = states_of(publication)
            known = [states[one].last_success for one in connections if one in states]
            last = max((success for success in known if success is not None), default=None)
            if last is None:
                raise no_record("data integrity", company_id)
            return api_integrity.matched(publication, company_id, connections), connections, wire_time(last)
    except NothingPublishedError as exc:
        # Codat's clients know no 409 here.
        raise no_record("data integrity", company_id) from exc


def _share(matched: Decimal, total: Decimal) -> dict[str, Decimal]:
    share = (matched / total * 100).quantize(_PERCENT, rounding=ROUND_HALF_UP) if total else Decimal(100)
    return {"matchPercentage": share, "matched": matched, "unmatched": total - matched, "total": total}


def _detail(order: MatchedOrder) -> dict[str, Any]:
    return {
        "id": order.order_id,
        "type": DataType.ORDERS.value,
        "connectionId": order.connection_id,
        "date": wire_time(order.created),
        "amount": order.owed,
        "currency": order.currency,
        "matches": [
            {
                "id": payment_id,
                "type": DataType.PAYMENTS.value,
                "connectionId": order.connection_id,
                "date": wire_time(created),
                "amount": number_text(amount),  # text: so Codat's client wants it
                "currency": currency,
            }
            for payment_id, created, amount, currency in order.payments
            if order.matches
        ],
    }
