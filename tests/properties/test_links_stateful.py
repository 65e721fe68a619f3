"""Every cent has one home, whatever becomes of the links: any history of them ends where a first sync begins.

Charges, orders and refunds are listed, linked, unlinked, moved, captured, refunded, canceled and deleted, some rows are
sparse and some come late; syncs and rebuilds happen at any moment. At every moment the money that is published and the
money that is named as held back come to the money at Clover, per currency, and no payment is in two orders. At the end
a sync with nothing pending shows the same orders as a first sync of the same Clover, and a rebuild changes nothing.

More examples by hand: ``LINK_EXAMPLES=2000 pytest tests/properties/test_links_stateful.py -n 0``.
"""

import os
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parents[1] / "sync"))

from told_clover import AT, ToldClover, told_bench

FIRST_MS = int((AT - timedelta(hours=11)).timestamp() * 1000)
AMOUNTS = st.sampled_from([100, 250, 1999, 4900])
COMMITS = st.sampled_from([60_000, 60_000, 3])  # rows a commit: all in one, or hardly any


class MovingLinks(RuleBasedStateMachine):
    """rows: what Clover has, by list. late: rows that no list shows yet. sparse: ids whose list rows say little."""

    @initialize(rows_a_commit=COMMITS)
    def begin(self, rows_a_commit):
        self.folder = tempfile.TemporaryDirectory()
        self.clover = SparseClover()
        self.bench = told_bench(Path(self.folder.name), self.clover)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("connector.sync.commit._ROWS_A_COMMIT", rows_a_commit)
        self.patch.setattr("connector.sync.spans.PIECE", timedelta(days=7))
        self.made = 0
        self.deleted = set()
        self.stale = True

    def teardown(self):
        if hasattr(self, "bench"):
            try:
                self.settle()
            finally:
                self.patch.undo()
                self.folder.cleanup()

    @property
    def rows(self):
        return self.clover.rows

    def new(self, kind, **members):
        self.made += 1
        row = {"id": f"{kind}{self.made:04}", "created": FIRST_MS + self.made * 60_000, **members}
        self.rows[kind][row["id"]] = row
        self.stale = True
        return row["id"]

    def change(self, kind, record_id, **members):
        row = {**self.rows[kind][record_id], **members}
        self.rows[kind][record_id] = {name: value for name, value in row.items() if value is not None}
        self.stale = True

    def some(self, data, kind, also=()):
        return data.draw(st.sampled_from([*sorted(self.rows[kind]), *also]))

    def captured(self):
        return sorted(
            c for c, row in self.rows["charges"].items() if row["status"] == "succeeded" and row["captured"]
        )

    # -- Clover

    @rule(amount=AMOUNTS, status=st.sampled_from(["paid", "paid", "created"]))
    def open_order(self, amount, status):
        items = [{"parent": "ILAMP", "amount": amount, "quantity": 1, "description": "Lamp"}]
        self.new("orders", amount=amount, currency="USD", status=status, items=items)

    @rule(
        amount=AMOUNTS,
        how=st.sampled_from(["captured", "captured", "authorized", "pending"]),
        currency=st.sampled_from(["usd", "usd", "usd", "eur"]),
        late=st.booleans(),
        sparse=st.booleans(),
        data=st.data(),
    )
    def take(self, amount, how, currency, late, sparse, data):
        order = self.some(data, "orders", also=[None, "unknown"])
        members = {
            "amount": amount,
            "currency": currency,
            "captured": how == "captured",
            "paid": how != "pending",
        }
        status = "pending" if how == "pending" else "succeeded"
        charge = self.new("charges", status=status, **members, **({} if order is None else {"order": order}))
        self.clover.unlisted |= {charge} if late else set()
        self.clover.sparse |= {charge} if sparse else set()

    @precondition(lambda self: self.captured())
    @rule(amount=AMOUNTS, settled=st.booleans(), sparse=st.booleans(), late=st.booleans(), data=st.data())
    def give_back(self, amount, settled, sparse, late, data):
        charge = data.draw(st.sampled_from([*self.captured(), "unknown", None]))
        members = {"amount": amount, "status": "succeeded" if settled else "pending"}
        refund = self.new("refunds", **members, **({} if charge is None else {"charge": charge}))
        self.clover.sparse |= {refund} if sparse else set()
        self.clover.unlisted |= {refund} if late else set()

    @precondition(lambda self: self.clover.unlisted)
    @rule(data=st.data())
    def list_a_late_row(self, data):
        self.clover.unlisted.discard(data.draw(st.sampled_from(sorted(self.clover.unlisted))))
        self.stale = True

    @precondition(lambda self: self.rows["charges"])
    @rule(data=st.data())
    def move_charge(self, data):
        """To another order, to one that Clover does not have, or to none."""
        self.change(
            "charges", self.some(data, "charges"), order=self.some(data, "orders", also=[None, "unknown"])
        )

    @precondition(lambda self: self.rows["charges"] and self.rows["orders"])
    @rule(latest=st.booleans(), as_object=st.booleans(), data=st.data())
    def name_a_charge(self, latest, as_object, data):
        order, charge = self.some(data, "orders"), self.some(data, "charges")
        if latest:
            self.change("orders", order, charge=charge)
        else:
            shown = dict(self.rows["charges"][charge]) if as_object else charge
            self.change("orders", order, past_charges=[shown])

    @precondition(lambda self: self.rows["orders"])
    @rule(data=st.data())
    def name_none(self, data):
        self.change("orders", self.some(data, "orders"), charge=None, past_charges=None)

    @precondition(lambda self: self.rows["refunds"])
    @rule(data=st.data())
    def move_refund(self, data):
        charge = data.draw(st.sampled_from([*self.captured(), "unknown", None]))
        self.change("refunds", self.some(data, "refunds"), charge=charge)

    @precondition(lambda self: self.rows["refunds"] and self.rows["charges"])
    @rule(data=st.data())
    def show_a_refund_inside_a_charge(self, data):
        refund = self.rows["refunds"][self.some(data, "refunds")]
        self.change("charges", self.some(data, "charges"), refunds={"data": [dict(refund)]})

    @precondition(lambda self: self.rows["charges"])
    @rule(data=st.data())
    def capture(self, data):
        self.change("charges", self.some(data, "charges"), captured=True, paid=True, status="succeeded")

    @precondition(lambda self: self.rows["refunds"])
    @rule(voided=st.booleans(), data=st.data())
    def settle_or_cancel_refund(self, voided, data):
        refund = self.some(data, "refunds")
        self.change("refunds", refund, **({"voided": True} if voided else {"status": "succeeded"}))

    @precondition(lambda self: self.rows["orders"])
    @rule(data=st.data())
    def delete_order(self, data):
        order = self.some(data, "orders")
        del self.rows["orders"][order]
        self.deleted.add(order)
        self.stale = True

    # -- the connector

    @rule()
    def sync(self):
        report = self.bench.sync(at=self.bench.now + timedelta(minutes=1))
        assert report.status != "failed", report.error
        self.stale = False

    @precondition(lambda self: not self.stale)
    @rule()
    def rebuild(self):
        before = self.bench.orders()
        report = self.bench.sync(at=self.bench.now + timedelta(minutes=1), kind="rebuild")
        assert report.status != "failed", report.error
        assert self.bench.orders() == before

    @invariant()
    def every_cent_is_told(self):
        if not hasattr(self, "bench") or self.stale:
            return
        assert self.published() + self.held_back() == self.at_clover()
        twice = "SELECT payment_id FROM payments GROUP BY ALL HAVING count(*) > 1"
        assert self.bench.rows(twice) == []
        assert self.bench.rows("SELECT * FROM data_issues WHERE code = 'payment_once'") == []

    def settle(self):
        self.clover.unlisted.clear()  # nothing is pending: what a named charge showed early is listed by now
        self.sync()
        self.every_cent_is_told()
        self.rebuild()
        fresh = told_bench(Path(self.folder.name), self.clover, name="fresh")
        fresh.sync(at=self.bench.now)
        assert self.compared(self.bench) == self.compared(fresh)

    def compared(self, bench):
        """What must be the same; of a deleted order the money only, for a first sync never saw its lines."""
        orders = {
            order: (*totals[:3], self.payments(bench, order))
            if order not in self.deleted
            else self.payments(bench, order)
            for order, totals in bench.orders().items()
        }
        return {order: told for order, told in orders.items() if not self.is_doubtful(order)}

    def is_doubtful(self, order):
        """A deleted order once said whether it was paid by a charge that says it was not captured."""
        charges = self.rows["charges"].values()
        return order in self.deleted and any(c.get("order") == order and not c["captured"] for c in charges)

    @staticmethod
    def payments(bench, order):
        return bench.rows(
            "SELECT payment_id, amount, currency, status FROM payments WHERE order_id = ? ORDER BY 1", order
        )

    def published(self):
        rows = self.bench.rows(
            "SELECT currency, sum(amount) FROM payments WHERE status = 'Paid' GROUP BY ALL"
        )
        return Money(dict(rows))

    def held_back(self):
        """Refunds that lead to no order, by their issues."""
        rows = self.bench.rows(
            "SELECT currency, sum(difference_minor) FROM data_issues"
            " WHERE code = 'no_link' AND resolved_snapshot IS NULL GROUP BY ALL"
        )
        return Money({currency: Decimal(minor) / 100 for currency, minor in rows})

    def at_clover(self):
        """Captured less refunded, of what Clover has told so far; a doubtful charge is money where it is published."""
        paid = {row[0] for row in self.bench.rows("SELECT payment_id FROM payments WHERE status = 'Paid'")}
        money = Money({})
        listed = [c for c in self.rows["charges"].values() if self.is_told("charges", c)]
        for charge in listed:
            if charge["status"] == "succeeded" and (charge["captured"] or charge["id"] in paid):
                money = money + Money({charge["currency"].upper(): Decimal(charge["amount"]) / 100})
        for refund in self.rows["refunds"].values():
            if (
                self.is_told("refunds", refund)
                and refund["status"] == "succeeded"
                and not refund.get("voided")
            ):
                charge = self.rows["charges"].get(refund.get("charge") or "", {})
                money = money + Money(
                    {charge.get("currency", "usd").upper(): -Decimal(refund["amount"]) / 100}
                )
        return money

    def is_told(self, kind, row):
        """Whether Clover shows a row in a list, or in a record that it shows."""
        if row["id"] not in self.clover.unlisted:
            return True
        return bool(
            self.bench.rows(
                "SELECT 1 FROM ledger.source_records WHERE record_id = ? AND replaced_by IS NULL AND NOT is_deleted",
                row["id"],
            )
        )


class Money(Counter):
    """Amounts by currency; nothing is no amount."""

    def __eq__(self, other):
        return all(self[currency] == other[currency] for currency in self.keys() | other.keys())

    __hash__ = None

    def __add__(self, other):
        return Money({currency: self[currency] + other[currency] for currency in self.keys() | other.keys()})


class SparseClover(ToldClover):
    """Its lists cut some rows down to a pointer, as Clover's do; by id they are whole.

    A pointer shows that its record changed, not what: a change that no list shows at all is found by deep scans only.
    """

    def __init__(self):
        super().__init__()
        self.sparse = set()

    def page(self, name, params):
        page = super().page(name, params)
        page["data"] = [self.pointer(row) if row["id"] in self.sparse else row for row in page["data"]]
        return page

    @staticmethod
    def pointer(row):
        return {"id": row["id"], "amount": row["amount"], "inReportingPeriod": sorted(map(str, row.items()))}


TestMovingLinks = pytest.mark.slow(MovingLinks.TestCase)
TestMovingLinks.settings = settings(
    max_examples=int(os.environ.get("LINK_EXAMPLES", "5")),
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
