"""How a company stands: read when, complete or by how much not, what is held back, what it sold lately.

Each of it is asked where the API asks it, and remembered with the publication, which never changes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar, cast

from connector.api.answer.quality import Quality
from connector.api.reading import Reading
from connector.api.reads.runs import states_of
from connector.ledger.connection_state import UNKNOWN, ConnectionState
from connector.ledger.published import Publication
from connector.report.figure_reads import local_day as zone_day
from connector.report.sales import Sold, recent_sales, totals
from schemas.platform import Company

DAYS = 30
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Lately:
    """What one currency came to in the ``DAYS`` days up to ``until``. days: net sales day by day.

    refund_rate: returns over gross sales less discounts, of these days; None where nothing was sold.
    """

    currency: str
    until: date
    net_sales: Decimal
    refund_rate: Decimal | None
    days: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One company. Amounts by currency, major units. complete None: not every connection was compared yet.

    last_success: of the connection that was read longest ago; None while one never was.
    """

    company: Company
    states: Mapping[str, ConnectionState]
    qualities: Mapping[str, Quality]
    last_success: datetime | None
    complete: bool | None
    unexplained: Mapping[str, Decimal]
    held_records: int
    held_money: Mapping[str, Decimal]
    open_issues: int
    orders: int
    lately: tuple[Lately, ...]

    @property
    def synced(self) -> bool:
        return any(state.synced for state in self.states.values())


def remembered(publication: Publication, name: str, ask: Callable[[], _Found]) -> _Found:
    """The answer to a question about a publication, asked once."""
    if name not in publication.cache:
        if len(publication.cache) > 10_000:
            publication.cache.clear()
        publication.cache[name] = ask()
    return cast("_Found", publication.cache[name])


def states_of_company(publication: Publication, company: Company) -> dict[str, ConnectionState]:
    """The states of the connections that are shown."""
    known = states_of(publication)
    return {one.id: known.get(one.id, UNKNOWN) for one in company.data_connections}


def read_until_day(
    publication: Publication, company_id: str, states: Mapping[str, ConnectionState]
) -> date | None:
    """The merchant's day until which every connection was read; None while one never was."""
    began = [state.last_success_began for state in states.values()]
    if not began or None in began:
        return None
    return local_day(publication, company_id, min(moment for moment in began if moment))


def local_day(publication: Publication, company_id: str, moment: datetime) -> date:
    """The merchant's day of a moment (UTC, with or without its zone)."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return zone_day(aware, timezones(publication).get(company_id))


def timezones(publication: Publication) -> Mapping[str, str]:
    """Company -> the time zone of its merchants, the first where they differ; days and months are in it."""
    return remembered(
        publication,
        "portal|timezones",
        lambda: dict(
            publication.cursor.execute(
                "SELECT company_id, arg_min(timezone, connection_id) FROM connections"
                " WHERE timezone IS NOT NULL GROUP BY 1"
            ).fetchall()
        ),
    )


def qualities_of(
    publication: Publication, company_id: str, states: Mapping[str, ConnectionState]
) -> dict[str, Quality]:
    """Connection -> how far its data can be relied on; those never read are left out."""
    return {
        connection_id: Reading(
            publication, state, company_id, connection_id, state.newest_snapshot or 0
        ).quality
        for connection_id, state in states.items()
        if state.synced
    }


def lately_of(publication: Publication, companies: Sequence[Company]) -> Mapping[str, tuple[Lately, ...]]:
    """Company -> what it sold in the days up to that until which it was read, by currency, most orders first."""
    ends = {
        company.id: day
        for company in companies
        if (day := read_until_day(publication, company.id, states_of_company(publication, company)))
    }
    missing = {
        company_id: (day - timedelta(days=DAYS - 1), day)
        for company_id, day in ends.items()
        if f"portal|lately|{company_id}" not in publication.cache
    }
    for company_id, days in recent_sales(publication.cursor, missing).items():
        publication.cache[f"portal|lately|{company_id}"] = _lately(days, ends[company_id])
    return {
        company_id: cast("tuple[Lately, ...]", publication.cache[f"portal|lately|{company_id}"])
        for company_id in ends
    }


def _lately(days: Sequence[Sold], until: date) -> tuple[Lately, ...]:
    found = []
    currencies = {day.currency for day in days}
    orders = {
        currency: sum(day.orders for day in days if day.currency == currency) for currency in currencies
    }
    for currency in sorted(currencies, key=lambda one: (-orders[one], one)):
        mine = {day.start: day for day in days if day.currency == currency}
        sums = totals(mine.values())
        sold = sums["gross_sales"] - sums["discounts"]
        line = (mine.get(until - timedelta(days=back)) for back in reversed(range(DAYS)))
        found.append(
            Lately(
                currency,
                until,
                sums["net_sales"],
                sums["returns"] / sold if sold else None,
                tuple(day.amounts["net_sales"] if day else Decimal(0) for day in line),
            )
        )
    return tuple(found)


def standing_of(publication: Publication, company: Company, lately: Sequence[Lately]) -> Standing:
    """Where a company has several connections, the worst of them counts."""
    states = states_of_company(publication, company)
    qualities = qualities_of(publication, company.id, states)
    successes = [state.last_success for state in states.values()]
    verdicts = [qualities[one].complete if one in qualities else None for one in states]
    complete = False if False in verdicts else None if not verdicts or None in verdicts else True
    held = [quality.held for quality in qualities.values() if quality.held is not None]
    return Standing(
        company=company,
        states=states,
        qualities=qualities,
        last_success=None if None in successes else min((s for s in successes if s), default=None),
        complete=complete,
        unexplained=_added([quality.unexplained for quality in qualities.values()]),
        held_records=sum(one.records for one in held),
        held_money=_added([quality.held_money for quality in qualities.values()]),
        open_issues=sum(state.open_issues for state in states.values()),
        orders=sum(state.orders for state in states.values()),
        lately=tuple(lately),
    )


def unread(company: Company) -> Standing:
    """Of a company before anything was published."""
    states = {one.id: UNKNOWN for one in company.data_connections}
    return Standing(company, states, {}, None, None, {}, 0, {}, 0, 0, ())


def _added(amounts: Sequence[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for some in amounts:
        for currency, amount in some.items():
            found[currency] = found.get(currency, Decimal(0)) + amount
    return {currency: amount for currency, amount in sorted(found.items()) if amount}
