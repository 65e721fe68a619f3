"""How far an answer can be relied on: in headers of every answer made of data, and in the body of reports.

Reports carry the same words in ``reportInfo``, the one place where Codat's clients keep members they do not know.

x-last-successful-sync   when data was last read well
x-read-until             what happened at Clover later is not known here
x-reconciled-at          when the store was last compared with Clover's own counts and amounts
x-complete               true: nothing is unexplained; false: something is; unknown: never compared, or a past snapshot
x-unexplained            money that has no explanation, by currency
x-held-back              records that are kept and not published, and the money Clover says they moved
x-deleted-at-source      orders still served of which a comparison found something deleted at Clover
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from connector.api.reads import quality as api_quality
from connector.api.reads.history import ReconciledDay
from connector.api.reads.quality import DeletedOrder, HeldBack
from connector.api.reads.records import wire_time
from connector.ledger.connection_state import ConnectionState
from connector.ledger.published import Publication
from schemas.money import exponent, to_decimal
from schemas.wire import number_text

Money = Mapping[str, Decimal]
_CAPITAL = re.compile("[A-Z]")
MOST_IDS = 1000  # order ids named in one answer; the count beside them is always whole


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of the reliability of one connection's data at one snapshot. Amounts by currency, major units.

    ``complete`` None: never compared. ``held``, ``compared_at`` and ``complete`` are of now, so they are None as of
    a past snapshot. ``held_money``: the amounts Clover states for charges that took money, less refunds.
    """

    last_success: datetime | None
    read_until: datetime | None
    compared_at: datetime | None
    compared_from: datetime | None
    compared_to: datetime | None
    complete: bool | None
    unexplained: Money
    held: HeldBack | None
    held_money: Money
    issues: Mapping[str, int]
    deleted: Sequence[DeletedOrder]

    def words(self) -> dict[str, str]:
        """By the names of JSON members; what is not known is left out."""
        found = {
            "lastSuccessfulSync": wire_time(self.last_success),
            "readUntil": wire_time(self.read_until),
            "reconciledAt": wire_time(self.compared_at),
            "complete": "unknown" if self.complete is None else str(self.complete).lower(),
            "unexplained": _words(self.unexplained) if self.complete is not None else None,
            "heldBack": None if self.held is None else _held_words(self.held, self.held_money),
            "deletedAtSource": _deleted_words(self.deleted) if self.deleted else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def headers(self) -> dict[str, str]:
        """The same as headers; see the module."""
        return {"x-" + _CAPITAL.sub(r"-\g<0>", name).lower(): words for name, words in self.words().items()}

    def members(self) -> dict[str, Any]:
        """The same as a member of an answer."""
        held = None
        if self.held is not None:
            held = {
                "records": self.held.records,
                "withoutAmount": self.held.without_amount,
                "amounts": amounts(self.held_money),
            }
        return {
            "lastSuccessfulSync": wire_time(self.last_success),
            "readUntil": wire_time(self.read_until),
            "reconciledAt": wire_time(self.compared_at),
            "reconciledFrom": wire_time(self.compared_from),
            "reconciledTo": wire_time(self.compared_to),
            "complete": self.complete,
            "unexplained": amounts(self.unexplained) if self.complete is not None else None,
            "heldBack": held,
            "openIssues": {f"{name}s": self.issues.get(name, 0) for name in ("warning", "error")},
            "deletedAtSource": self.deletions(),
        }

    def deletions(self) -> dict[str, Any] | None:
        """Orders that are still in the data though Clover deleted them or a part of them; None for none."""
        if not self.deleted:
            return None
        return {
            "orders": len(self.deleted),
            "orderIds": [order.order_id for order in self.deleted[:MOST_IDS]],
            "amounts": amounts(_served(self.deleted)),
        }


def quality_of(
    publication: Publication,
    connection_id: str,
    state: ConnectionState,
    *,
    snapshot: int,
    newest: bool,
    read_until: Callable[[], datetime | None],
) -> Quality:
    """Remembered for the publication, which never changes."""
    key = f"quality|{connection_id}|{snapshot}"
    known = publication.cache.get(key)
    if known is None:
        known = publication.cache[key] = _read(
            publication, connection_id, state, snapshot, newest, read_until()
        )
    return cast("Quality", known)


def _read(
    publication: Publication,
    connection_id: str,
    state: ConnectionState,
    snapshot: int,
    newest: bool,
    read_until: datetime | None,
) -> Quality:
    issues = api_quality.open_issues(publication, connection_id, snapshot)
    deleted = api_quality.deleted_orders(publication, connection_id, snapshot)
    if not newest:
        return Quality(None, read_until, None, None, None, None, {}, None, {}, issues, deleted)
    comparison = api_quality.compared(publication, connection_id)
    held = api_quality.held_back(publication, connection_id)
    return Quality(
        last_success=state.last_success,
        read_until=read_until,
        compared_at=max((day.reconciled_at for day in comparison.days), default=None),
        compared_from=comparison.since,
        compared_to=comparison.until,
        complete=is_complete(comparison.days),
        unexplained=unexplained(comparison.days),
        held=held,
        held_money={code: to_decimal(minor, exponent(code)) for code, minor in held.minor.items()},
        issues=issues,
        deleted=deleted,
    )


def is_complete(days: Sequence[ReconciledDay]) -> bool | None:
    """Whether nothing is unexplained; None when nothing was compared."""
    return all(not day.unexplained for day in days) if days else None


def unexplained(days: Iterable[ReconciledDay]) -> dict[str, Decimal]:
    """Currency -> the sum of what has no explanation, each day's without its sign, so that none hides another."""
    found: dict[str, Decimal] = {}
    for day in days:
        if day.currency:
            found.setdefault(day.currency, Decimal(0))
            found[day.currency] += abs(day.unexplained or Decimal(0))
    return found


def amounts(money: Money) -> list[dict[str, Any]]:
    """One entry a currency; amounts of different currencies are never added."""
    return [{"currency": currency, "amount": amount} for currency, amount in sorted(money.items())]


def _served(orders: Iterable[DeletedOrder]) -> dict[str, Decimal]:
    money: dict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        money[order.currency] += order.total_amount
    return money


def _deleted_words(orders: Sequence[DeletedOrder]) -> str:
    return f"{len(orders)} orders, {_words(_served(orders))}"


def _held_words(held: HeldBack, money: Money) -> str:
    words = f"{held.records} records"
    if held.without_amount:
        words += f" ({held.without_amount} without an amount)"
    return f"{words}, {_words(money)}"


def _words(money: Money) -> str:
    """``USD 12.5, EUR 3``; 0 when there is none."""
    return ", ".join(f"{c} {number_text(a)}" for c, a in sorted(money.items()) if a) or "0"
