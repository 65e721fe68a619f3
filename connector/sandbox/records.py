"""The shop's memory: records, their listings, the journal of events, and the clock that only events move."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock

from connector.sandbox.books import Books
from connector.sandbox.ids import IdSource
from connector.sandbox.model import Charge, Customer, Moment, Order, Refund, as_ms
from connector.sandbox.row_index import RowIndex


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the shop. at: ms. order_id: the page of the books it belongs to, or ""."""

    at: int
    kind: str
    order_id: str
    record_id: str
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Merchant:
    """Whose shop it is, as the platform's merchant endpoint tells. country: ISO 3166 alpha-2."""

    id: str = "MHT4QK2Z9WX61"
    name: str = "Quay Street Goods"
    country: str = "US"
    currency: str = "USD"
    timezone: str = "America/New_York"
    city: str = "Boston"
    state: str = "MA"
    zip: str = "02110"
    address: str = "88 Harbor Way"
    phone: str = "6175550100"
    locale: str = "en_US"
    vat: bool = False


class Records:
    """What all events share. Every public method of a world holds ``lock``; so may tests, for a clear view.

    now: ms of the latest event or of :meth:`advance`; it never goes back.
    """

    def __init__(self, merchant: Merchant | None = None, *, seed: int = 1) -> None:
        self.merchant = merchant or Merchant()
        self.books = Books()
        self.lock = RLock()
        self.now = 0
        self.version = 0
        self.journal: list[Event] = []
        self.orders: RowIndex[Order] = RowIndex()
        self.charges: RowIndex[Charge] = RowIndex()
        self.refunds: RowIndex[Refund] = RowIndex()
        self.customers: dict[str, Customer] = {}
        self._ids = IdSource(seed)
        self._products: dict[str, str] = {}
        self._all_orders: dict[str, Order] = {}
        self._seq = 0
        self._later: list[tuple[int, int, Callable[[], object]]] = []

    @contextmanager
    def happening(self, at: Moment) -> Iterator[int]:
        """Holds the lock for one event and moves the clock; gives the event's time in ms."""
        with self.lock:
            at_ms = as_ms(at)
            self.now = max(self.now, at_ms)
            self.version += 1
            yield at_ms

    def later(self, at: Moment, event: Callable[[], object]) -> None:
        """Plans an event; it happens at once if its time has come, else in :meth:`advance`."""
        with self.lock:
            at_ms = as_ms(at)
            if at_ms <= self.now:
                event()
            else:
                self._seq += 1
                heapq.heappush(self._later, (at_ms, self._seq, event))

    def advance(self, to: Moment) -> int:
        """Moves the clock on and lets all that was planned until then happen, in order; says how many."""
        with self.lock:
            to_ms, happened = as_ms(to), 0
            while self._later and self._later[0][0] <= to_ms:
                at_ms, _, event = heapq.heappop(self._later)
                self.now = max(self.now, at_ms)
                event()
                happened += 1
            self.now = max(self.now, to_ms)
            self.version += 1
            return happened

    @property
    def planned(self) -> int:
        """How many events are still to come."""
        return len(self._later)

    def order(self, order_id: str) -> Order:
        """The order, deleted or not. KeyError when there never was one."""
        return self._all_orders[order_id]

    def charge_ids(self, order_id: str) -> list[str]:
        """The order's charges, oldest first, failed ones too."""
        with self.lock:
            return [charge.id for charge in self.order(order_id).charges]

    def refund_ids(self, order_id: str) -> list[str]:
        """Every refund of the order's charges, as they were made."""
        with self.lock:
            refunds = [refund for charge in self.order(order_id).charges for refund in charge.refunds]
            return [refund.id for refund in sorted(refunds, key=lambda refund: refund.seq)]

    def _number(self) -> int:
        self._seq += 1
        return self._seq

    def _note(self, at: int, kind: str, order_id: str, record_id: str, amount: int = 0) -> None:
        self.journal.append(Event(at, kind, order_id, record_id, amount))

    def _touch(self, at: int, order: Order | None, *charges: Charge) -> None:
        """Remembers the change, and that what was rendered of these records is out of date."""
        second = at // 1000 * 1000
        if order is not None:
            order.row = None
            order.modified = max(order.modified, second)
        for charge in order.charges if order is not None else charges:
            charge.row = None
            for refund in charge.refunds:
                refund.row = None
        for charge in charges:
            charge.modified = max(charge.modified, second)
