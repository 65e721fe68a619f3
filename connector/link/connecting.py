"""A connection becomes ``Linked``, and whoever has to know is told.

The pair of tokens is kept first, the request for the first read next, and only then, in one transaction, the settings
that make it ``Linked``: whoever dies in between has linked nobody.
"""

import uuid
from dataclasses import dataclass

from connector.api.answer.companies import company_view, connection_view
from connector.api.answer.link_words import link_error
from connector.api.routes.companies import reference
from connector.api.state import Call
from connector.clover.auth.oauth import save_pair
from connector.config import Company, Connection, LinkApp
from connector.control import companies as api_companies
from connector.control import links
from connector.control import webhooks as api_webhooks
from connector.control.companies import CompanyRow, ConnectionRow
from connector.control.file import stamp
from connector.control.kept import keep_companies, with_kept
from connector.control.links import Visit
from connector.control.place import control_place
from connector.control.refreshes import Refresh, ask_for_refresh
from connector.ledger.connection_state import UNKNOWN
from connector.ledger.failpoints import failpoint
from connector.link.exchange import Agreed, LinkFailed
from connector.link.linking import Linking
from connector.link.visitor import Target
from connector.logs import get_logger
from schemas.iso import UNKNOWN_COUNTRY
from schemas.platform import ConnectionStatus, DataConnectionError
from schemas.wire import members

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Merchant:
    """Whose shop it is. country: ISO 3166 alpha-3, XXX unknown. name, currency: None where Clover did not say."""

    merchant_id: str
    name: str | None
    country: str
    currency: str | None
    timezone: str


def connection_to_link(call: Call, target: Target) -> ConnectionRow:
    """The connection of the link; a company's link makes one where there is none."""
    if target.connection is not None:
        return target.connection
    now = call.now()
    row = ConnectionRow(
        str(uuid.uuid4()), target.company.company_id, ConnectionStatus.PENDING_AUTH, stamp(now), origin="api"
    )
    api_companies.create_connection(call.state.control, row)
    _tell(call, "connection.created", target.company, row, row.connection_id)
    return row


def known_connection(linking: Linking, visit: Visit, merchant_id: str) -> Connection | None:
    """The connection of this company that the merchant has, or had, already; None where it is new to the company.

    Raises LinkFailed where the link is another merchant's, or the operator reads this one by his configuration.
    """
    app = app_of(linking, visit)
    config = with_kept(linking.config, control_place(linking.config))
    known: Connection | None = None
    for company, one in config.pairs():
        is_same = (one.environment, one.merchant_id) == (app.environment, merchant_id)
        if one.id == visit.connection_id and not is_same:
            raise LinkFailed("other_shop", "the connection is of another merchant")
        if not is_same:
            continue
        if company.id != visit.company_id:
            log.warning(
                "link.merchant_twice",
                company_id=visit.company_id,
                connection_id=visit.connection_id,
                other_company_id=company.id,
                merchant_id=merchant_id,
            )
        elif not company.is_kept:
            raise LinkFailed("elsewhere", "the configuration has this merchant already")
        elif known is None or one.id == visit.connection_id:
            known = one
    return known


def keep_pair(linking: Linking, connection_id: str, agreed: Agreed) -> None:
    """Keep the pair encrypted, before anything says that it is there."""
    # A run that renews the old pair at this moment must not put it over the new one.
    with linking.pairs.lock(connection_id):
        save_pair(linking.pairs, connection_id, agreed.pair, merchant_id=agreed.profile.merchant_id)


def is_pair_of(linking: Linking, connection_id: str, merchant_id: str) -> bool:
    """Whether the pair that is kept is this merchant's, and not that of another browser which was faster."""
    kept = linking.pairs.load(connection_id)
    return kept is not None and kept.get("merchant_id") == merchant_id


def link_new(call: Call, linking: Linking, visit: Visit, merchant: Merchant) -> None:
    """Link the visit's connection to a merchant that is new to the company."""
    app, settings = app_of(linking, visit), linking.settings
    company = api_companies.get_company(call.state.control, visit.company_id)
    if company is None or company.origin == "config" or visit.connection_id is None:
        raise LinkFailed("gone")
    values = {
        "id": visit.connection_id,
        "environment": app.environment,
        "region": app.region,
        "base_url": app.base_url,
        "merchant_id": merchant.merchant_id,
        "merchant_name": merchant.name or company.name,
        "country": merchant.country,
        "currency": merchant.currency,
        "timezone": merchant.timezone,
        "credential": "kept",
        "start_date": settings.start_date,
        "schedule": settings.schedule,
    }
    connection = Connection.model_validate(
        {name: value for name, value in values.items() if value is not None}
    )
    if merchant.country == UNKNOWN_COUNTRY:
        log.warning("link.country_unknown", company_id=visit.company_id, connection_id=visit.connection_id)
    _link(call, linking, visit, company, connection, again=False)


def link_again(call: Call, linking: Linking, visit: Visit, known: Connection) -> None:
    """The merchant was connected before: that connection is read again, and one made beside it goes."""
    company = api_companies.get_company(call.state.control, visit.company_id)
    if company is None:
        raise LinkFailed("gone")
    app = app_of(linking, visit)
    now_at = {"credential": "kept", "region": app.region, "base_url": app.base_url}
    _link(call, linking, visit, company, known.model_copy(update=now_at), again=True)
    if visit.connection_id is None or visit.connection_id == known.id:
        return
    beside = api_companies.get_connection(call.state.control, visit.company_id, visit.connection_id)
    if beside is not None and beside.status == ConnectionStatus.PENDING_AUTH:
        _tell(call, "connection.deleted", company, beside)
        api_companies.delete_connection(call.state.control, beside.connection_id, now=call.now())


def _link(
    call: Call, linking: Linking, visit: Visit, company: CompanyRow, connection: Connection, *, again: bool
) -> None:
    control, now = call.state.control, call.now()
    owner = next((one for one in linking.config.companies if one.id == company.company_id), None)
    kept = Company(
        id=company.company_id,
        name=company.name,
        fiscal_year_start=owner.fiscal_year_start if owner else 1,
        connections=[connection],
    )
    first = Refresh(str(uuid.uuid4()), company.company_id, connection.id, None, stamp(now))
    # Asked for before there is somebody to ask: a process that ends here has linked nobody, and left a question that
    # nobody answers. The other way round a merchant would be linked and not read.
    ask_for_refresh(control, [first], requested_by=None)
    keep_companies(control, [kept], now=now)
    failpoint("link.kept")
    links.note_linked(
        control,
        visit,
        connection_id=connection.id,
        merchant_id=connection.merchant_id,
        again=again,
        now=now,
    )
    log.info(
        "link.connected",
        company_id=company.company_id,
        connection_id=connection.id,
        merchant_id=connection.merchant_id,
        again=again,
    )
    row = api_companies.get_connection(control, company.company_id, connection.id)
    if row is not None:
        api_webhooks.note_status_event(
            control,
            connection.id,
            True,
            _payload(call, company, row),
            now=now,
            company_id=company.company_id,
            tags=company.tags,
        )


def app_of(linking: Linking, visit: Visit) -> LinkApp:
    """The app that the merchant agreed to. Raises LinkFailed when it left the configuration meanwhile."""
    app = linking.settings.app_of(visit.region or "")
    if app is None:
        raise LinkFailed("app", "the app of this region is no longer configured")
    return app


def tell_failed(call: Call, visit: Visit, reason: str) -> None:
    """Tell who waits for the connection that it did not come about, and why."""
    found = _rows(call, visit)
    if found is None:
        return
    company, row = found
    error = link_error(reason, stamp(call.now()))
    _tell(call, "connection.failed", company, row, visit.visit_hash, stamp(call.now()), error=error)


def _rows(call: Call, visit: Visit) -> tuple[CompanyRow, ConnectionRow] | None:
    control = call.state.control
    company = api_companies.get_company(control, visit.company_id)
    row = api_companies.get_connection(control, visit.company_id, visit.connection_id or "")
    return None if company is None or row is None else (company, row)


def _tell(
    call: Call,
    event_type: str,
    company: CompanyRow,
    row: ConnectionRow,
    *happened: str,
    error: DataConnectionError | None = None,
) -> None:
    payload = _payload(call, company, row, error)
    api_webhooks.note_event(
        call.state.control,
        api_webhooks.event_id(event_type, row.connection_id, *happened),
        event_type,
        payload,
        now=call.now(),
        company_id=company.company_id,
        tags=company.tags,
    )


def _payload(
    call: Call, company: CompanyRow, row: ConnectionRow, error: DataConnectionError | None = None
) -> dict[str, object]:
    shown = connection_view(call, row, UNKNOWN)
    if error is not None:
        shown = shown.model_copy(update={"data_connection_errors": [error]})
    return {"referenceCompany": reference(company_view(call, company, [], {})), "connection": members(shown)}
