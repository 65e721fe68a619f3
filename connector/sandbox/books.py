"""The shop's books: every event booked in double entry, independent of what Clover shows about it.

A posting says when, by which record, on which account and how much. In every entry the assets (cash,
receivable) equal the claims on them (goods, discount, tax, shipping, surcharge, overpayment, tip,
unallocated). So what an order really amounts to can be compared with what was read and mapped.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connector.sandbox.model import Moment, as_ms

ASSETS = frozenset({"cash", "receivable"})
_ALL_TIME = 1 << 62


@dataclass(frozen=True, slots=True)
class OrderBook:
    """One order in minor units of ``currency``; signs as an accountant's statement has them.

    total_amount_minor: net of refunds, tax in, tip out. total_refund_minor: <= 0, tip out. tax_net,
    discount_net: net of refunds, positive. gratuity_kept: tips less tips given back. captured_minor,
    refunded_minor: money taken and given back, both positive, tips and surcharges in. outstanding_minor:
    owed and not yet taken. published: money moved at least once. ambiguous: Clover will show lines that
    cannot add up. estimated: part of the refunds names no lines, so its tax share is a convention.
    """

    order_id: str
    currency: str
    total_amount_minor: int
    total_refund_minor: int
    tax_net: int
    discount_net: int
    gratuity_kept: int
    captured_minor: int
    refunded_minor: int
    outstanding_minor: int
    tax_sold: int
    discount_sold: int
    goods_sold: int
    shipping_sold: int
    surcharge_sold: int
    overpayment: int
    published: bool
    deleted: bool
    ambiguous: bool
    estimated: bool


@dataclass(slots=True)
class Totals:
    """All published, undeleted orders of one currency, in its minor units; signs as in OrderBook."""

    orders: int = 0
    total_amount_minor: int = 0
    total_refund_minor: int = 0
    tax_net: int = 0
    discount_net: int = 0
    gratuity_kept: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0


@dataclass(slots=True)
class _Page:
    currency: str
    postings: list[tuple[int, str, bool, str, int]]
    deleted_at: int | None = None
    ambiguous: bool = False


class Books:
    """Books of one shop. The world writes under its own lock; reading copies what it needs."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def open(self, order_id: str, currency: str, *, ambiguous: bool = False) -> None:
        """Starts an order's page; a stand-alone charge without an order has one under its own id."""
        self._pages[order_id] = _Page(currency, [], ambiguous=ambiguous)

    def post(
        self, order_id: str, at: int, record: str, accounts: Mapping[str, int], *, returned: bool = False
    ) -> None:
        """Books one entry; refuses one that does not balance. returned: it gives back what was sold."""
        postings = self._pages[order_id].postings
        balance = 0
        for account, amount in accounts.items():
            if amount:
                balance += amount if account in ASSETS else -amount
                postings.append((at, record, returned, account, amount))
        if balance:
            raise AssertionError(f"The entry of {record} is out of balance by {balance}.")

    def reverse(self, order_id: str, at: int, record: str) -> None:
        """Takes back, at a later time, all that a record has booked so far."""
        postings = self._pages[order_id].postings
        postings += [
            (at, name, returned, account, -amount)
            for _, name, returned, account, amount in postings
            if name == record
        ]

    def mark_deleted(self, order_id: str, at: int) -> None:
        self._pages[order_id].deleted_at = at

    def mark_ambiguous(self, order_id: str) -> None:
        self._pages[order_id].ambiguous = True

    def balance(self, order_id: str, account: str, *, returned: bool | None = None) -> int:
        """What is on an account now; only the sales' or only the refunds' part on request."""
        return sum(
            amount
            for _, _, back, name, amount in self._pages[order_id].postings
            if name == account and (returned is None or back is returned)
        )

    def entries(self, order_id: str) -> list[tuple[int, str, bool, str, int]]:
        """An order's postings as (ms, record, returned, account, amount), oldest first as booked."""
        return list(self._pages[order_id].postings)

    def order_ids(self) -> list[str]:
        """Every order ever opened, and every charge without an order, in the order of their opening."""
        return list(self._pages)

    def order(self, order_id: str, as_of: Moment | None = None) -> OrderBook:
        """One order as it stands, or stood at ``as_of`` (inclusive). KeyError when there is no such order."""
        page = self._pages[order_id]
        until = _ALL_TIME if as_of is None else as_ms(as_of)
        sold: dict[str, int] = defaultdict(int)
        back: dict[str, int] = defaultdict(int)
        took = False
        for at, _, returned, account, amount in page.postings:
            if at <= until:
                (back if returned else sold)[account] += amount
                took = took or (account == "cash" and amount > 0 and not returned)
        refund = sum(back.values()) - back["cash"] - back["receivable"] - back["tip"]
        sale = sum(sold.values()) - sold["cash"] - sold["receivable"] - sold["tip"]
        return OrderBook(
            order_id=order_id,
            currency=page.currency,
            total_amount_minor=sale + refund,
            total_refund_minor=refund,
            tax_net=sold["tax"] + back["tax"],
            discount_net=-(sold["discount"] + back["discount"]),
            gratuity_kept=sold["tip"] + back["tip"],
            captured_minor=sold["cash"],
            refunded_minor=-back["cash"],
            outstanding_minor=sold["receivable"] + back["receivable"],
            tax_sold=sold["tax"],
            discount_sold=-sold["discount"],
            goods_sold=sold["goods"],
            shipping_sold=sold["shipping"],
            surcharge_sold=sold["surcharge"],
            overpayment=sold["overpayment"],
            published=took,
            deleted=page.deleted_at is not None and page.deleted_at <= until,
            ambiguous=page.ambiguous,
            estimated=back["unallocated"] != 0,
        )

    def orders(self, as_of: Moment | None = None, *, deleted: bool = False) -> Iterator[OrderBook]:
        """Every order for which money moved by then. Of deleted ones those whose charges still hold money; all of
        them on request: deleting an order gives nobody his money back."""
        for order_id in list(self._pages):
            book = self.order(order_id, as_of)
            if book.published and (deleted or not book.deleted or book.captured_minor):
                yield book

    def totals(self, as_of: Moment | None = None) -> dict[str, Totals]:
        """Sums over :meth:`orders`, a currency each."""
        sums: dict[str, Totals] = {}
        for book in self.orders(as_of):
            total = sums.setdefault(book.currency, Totals())
            total.orders += 1
            total.total_amount_minor += book.total_amount_minor
            total.total_refund_minor += book.total_refund_minor
            total.tax_net += book.tax_net
            total.discount_net += book.discount_net
            total.gratuity_kept += book.gratuity_kept
            total.captured_minor += book.captured_minor
            total.refunded_minor += book.refunded_minor
        return sums
