"""Sales, tax and journal of whole shops, read several times while they go on selling: every cent, in every booking.

The shops are the sandbox's, which keep books of their own; their orders go through the real mapping into a real ledger.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from test_accounting_against_the_books import SHAPES

from connector.ledger.load.apply import apply_batch
from connector.ledger.load.batch import Batch, ConnectionRow, NdjsonWriter, RunRow
from connector.ledger.migrate import migrate
from connector.ledger.view_files import Format, Wanted, columns_of_views, mirror_in, write_view
from connector.sandbox.platform_wire import platform_order
from connector.sandbox.records import Merchant as ShopMerchant
from connector.sandbox.shapes import Shapes
from connector.sandbox.shop import generate_shop
from connector.sandbox.wire_charges import charge_json, refund_json
from connector.sandbox.wire_orders import order_json
from connector.sandbox.world import World
from connector.sync.map.order_rows import order_row
from schemas.money import exponent, to_decimal
from transforms.document import document
from transforms.model import Issue, Merchant, PreviousVersion
from transforms.order.order import map_order
from transforms.read.group import parse_group
from transforms.read.platform import with_platform

COMPANY, CONNECTION = "company-1", "connection-1"
MERCHANT = Merchant("MHT4QK2Z9WX61", "Quay Street Goods", "USA", "USD", "America/New_York")
DAY_MS = 86_400_000
FIGURES = (
    "gross_sales", "discounts", '"returns"', "net_sales", "service_charges", "tax", "total_sales", "tips",
    "overpayments", "gift_cards_sold", "amount_collected", "receivable",
)  # fmt: skip
BOOKED = "entry_id, entry_date, posting, event, account, currency, debit, credit, payment_id, snapshot_id"
# What a state shows, to be found again as of its snapshot.
TOLD = {
    "monthly_sales": "SELECT * EXCLUDE (new_customers, returning_customers) FROM monthly_sales ORDER BY ALL",
    "daily_sales_by_order_date":
        "SELECT * EXCLUDE (new_customers, returning_customers) FROM daily_sales_by_order_date ORDER BY ALL",
    "journal_entries": "SELECT * FROM journal_entries ORDER BY ALL",
    "orders": "SELECT * FROM orders ORDER BY ALL",
    "order_line_items": "SELECT * FROM order_line_items ORDER BY ALL",
    "daily_refunds": "SELECT * FROM daily_refunds ORDER BY ALL",
    "payments": "SELECT * FROM payments ORDER BY ALL",
}  # fmt: skip
RESTATED = (
    "orders", "gross_sales", "discounts", "returns", "net_sales", "service_charges", "tax", "total_sales", "tips",
    "overpayments", "gift_cards_sold", "amount_collected", "receivable",
)  # fmt: skip
ACCOUNTS = {
    "Sales": "gross_sales", "Discounts": "-discounts", "Returns and allowances": '-"returns"',
    "Service charges": "service_charges", "Sales tax payable": "tax", "Tips payable": "tips",
    "Customer overpayments": "overpayments", "Accounts receivable": "-receivable",
    "Gift cards sold": "gift_cards_sold",
}  # fmt: skip


class Told:
    """A ledger into which a shop is read again and again."""

    def __init__(self, world: World, shapes: Shapes, directory: Path) -> None:
        self.world, self._shapes, self._directory = world, shapes, directory
        self._known: dict[str, PreviousVersion] = {}
        self._number = 0
        self.last_read: set[str] = set()
        self.hidden: set[str] = set()
        self.tipped: set[str] = set()
        self.knows_cards = False
        self.odd: set[str] = set()
        self.booked: list[tuple[datetime, list[tuple[Any, ...]]]] = []
        self.told: dict[int, dict[str, list[tuple[Any, ...]]]] = {}
        self.after_read: Callable[[], None] = lambda: None
        self.db = duckdb.connect()
        self.db.execute("ATTACH ':memory:' AS commerce")
        self.db.execute("USE commerce")
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute("CREATE SCHEMA ledger")
        migrate(self.db, at=datetime(2026, 1, 1, tzinfo=UTC))

    def read(self) -> None:
        """One sync at the shop's present; orders that no longer count, or that Clover hides, are deleted."""
        self._number += 1
        at = datetime.fromtimestamp(self.world.now // 1000, UTC)
        orders: list[dict[str, Any]] = []
        issues: list[dict[str, Any]] = []
        gone = []
        self.last_read.clear()
        for order_id in self.world.orders.by_id:
            charges = [self.world.charges.by_id.get(charge) for charge in self.world.charge_ids(order_id)]
            refunds = [self.world.refunds.by_id[refund] for refund in self.world.refund_ids(order_id)]
            if None in charges:
                continue
            if order_id in self.hidden:
                gone += [order_id] if order_id in self._known else []
                continue
            paid = [charge_json(charge, self._shapes) for charge in charges if charge is not None]
            if order_id in self.tipped:
                paid[0]["amount"] += 125
                paid[0]["tip_amount"] = paid[0].get("tip_amount", 0) + 125
            order = order_json(self.world.order(order_id), self._shapes)
            if order_id in self.odd:
                order["amount"] += 100
            group, broken = parse_group(
                order,
                paid,
                [refund_json(refund, self._shapes) for refund in refunds],
            )
            assert not broken
            if any(not item.is_revenue for item in self.world.order(order_id).items) and self.knows_cards:
                group = with_platform(group, platform_order(self.world.order(order_id), {"lineItems"}))
            self.last_read.add(order_id)
            before = self._known.get(order_id)
            mapped = map_order(group, MERCHANT, previous=before, run_start=at)
            issues += [issue_row(issue) for issue in mapped.issues]
            if mapped.order is None:
                gone += [order_id] if before else []
                continue
            if before is None or before.content_hash != mapped.content_hash:
                orders.append(order_row(COMPANY, CONNECTION, mapped, document(mapped, before)))
                self._known[order_id] = PreviousVersion(mapped.source_modified_date, mapped.content_hash)
        for order_id in gone:
            del self._known[order_id]
        directory = self._directory / str(self._number)
        directory.mkdir()
        with NdjsonWriter(directory) as writer:
            writer.write("order_versions", orders)
            writer.write("data_issues", issues)
            writer.write("seen_orders", [{"order_id": order_id} for order_id in self.last_read])
            files = writer.close()
        run = RunRow(
            run_id=f"run-{self._number}", company_id=COMPANY, connection_id=CONNECTION, kind="sync",
            started_at=at, finished_at=at,
        )  # fmt: skip
        connection = ConnectionRow(
            company_id=COMPANY, company_name="Quay", connection_id=CONNECTION, merchant_id=MERCHANT.merchant_id,
            environment="sandbox", country="USA", currency="USD", timezone=MERCHANT.timezone,
        )  # fmt: skip
        batch = Batch(run=run, connection=connection, files=files, tombstones=tuple(gone))
        applied = apply_batch(self.db, batch, now=at + timedelta(minutes=1))
        assert applied.snapshot_id is not None
        self.booked.append((at, self.rows(f"SELECT {BOOKED} FROM journal_as_booked")))
        self.told[applied.snapshot_id] = {view: self.rows(sql) for view, sql in TOLD.items()}
        self.after_read()

    def correct(self, **settings: str) -> None:
        """A run that reads nothing new and finds settings of the connection corrected."""
        at = datetime.fromtimestamp(self.world.now // 1000, UTC)
        run = RunRow(
            run_id="corrected", company_id=COMPANY, connection_id=CONNECTION, kind="sync", started_at=at,
            finished_at=at,
        )  # fmt: skip
        connection = ConnectionRow(
            company_id=COMPANY, company_name="Quay", connection_id=CONNECTION, merchant_id=MERCHANT.merchant_id,
            environment="sandbox", **({"country": "USA", "currency": "USD", "timezone": MERCHANT.timezone} | settings),
        )  # fmt: skip
        apply_batch(self.db, Batch(run=run, connection=connection), now=at + timedelta(hours=1))
        self.after_read()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.db.execute(sql).fetchall()

    def same(self, one: str, other: str) -> None:
        first, second = self.rows(f"FROM ({one}) ORDER BY ALL"), self.rows(f"FROM ({other}) ORDER BY ALL")
        assert first == second
        assert first


def issue_row(issue: Issue) -> dict[str, Any]:
    return {
        "company_id": COMPANY, "connection_id": CONNECTION, "order_id": issue.order_id, "code": issue.code,
        "severity": issue.severity.value, "detail": issue.detail, "difference_minor": issue.difference_minor,
        "currency": None,
    }  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        ("USD", 11, "plain"),
        ("USD", 12, "mixed"),
        ("JPY", 13, "mixed"),
        ("KWD", 14, "tip in the charge"),
    ],
    ids=lambda param: "-".join(map(str, param)),
)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A shop that was read five times: at its opening, and while it sold, gave back, and sold again what came back.

    Three orders are gone at the third reading, and one of them is there again at the fourth. Tips are added to others
    afterwards, which corrects what was charged. From the second reading on it is known which lines are gift cards.
    """
    currency, seed, shapes = request.param
    told = history_of(currency, seed, SHAPES[shapes], tmp_path_factory.mktemp("told"))
    yield told
    told.db.close()


def history_of(
    currency: str,
    seed: int,
    shapes: Shapes,
    directory: Path,
    after_read: Callable[[Told], None] | None = None,
) -> Told:
    world = generate_shop(250, seed=seed, merchant=ShopMerchant(currency=currency), gift_cards=27)
    told = Told(world, shapes, directory)
    if after_read is not None:
        told.after_read = partial(after_read, told)
    told.odd = set(sorted(world.orders.by_id)[20:30])  # do not add up at the first reading
    told.read()
    told.odd.clear()
    told.knows_cards = True
    sold: list[str] = []
    for days in (10, 20, 30, 40):
        opened = world.now
        for number in range(6):
            at = opened + number * DAY_MS // 2
            order_id = world.sell(
                at, [("Teapot", 4900), ("Cup", 900)], tip=300 * (number % 2), tax_rate=8_875
            )
            sold.append(order_id)
            if number % 3 == 0:
                world.refund(at + 2 * DAY_MS, order_id)
                world.pay_again(at + 3 * DAY_MS, order_id)
        for order_id in sold[-10:-6]:
            world.refund(opened + 5 * DAY_MS, order_id, 250)
        world.advance(opened + days * DAY_MS)
        if days in (20, 40):
            told.tipped = set(sorted(told.last_read)[5:9])  # a tip that was added later, and another's
        if days == 20:
            told.hidden = {*sorted(told.last_read)[:2], sold[2]}
        if days == 30:
            told.hidden.remove(sold[2])
        told.read()
    return told


def test_the_shop_has_a_history(told: Told) -> None:
    """Otherwise what follows would prove little."""
    assert told.rows("SELECT count(*) > 200 FROM orders") == [(True,)]
    assert told.rows("SELECT count(*) > 1 FROM snapshots") == [(True,)]
    assert told.rows("SELECT count(*) > 10 FROM order_versions WHERE replaced_by > snapshot_id") == [(True,)]
    assert told.rows("SELECT count(*) > 0 FROM journal_entries WHERE event = 'refund'") == [(True,)]
    issues = "SELECT DISTINCT resolved_snapshot IS NULL FROM data_issues ORDER BY 1"
    assert told.rows(issues) == [(False,), (True,)], "open ones, and ones that a later reading healed"
    cards = "SELECT event, count(*) > 3 FROM journal_entries WHERE account = 'Gift cards sold' GROUP BY ALL ORDER BY 1"
    assert told.rows(cards) == [("refund", True), ("sale", True)]
    assert {row for (row,) in told.rows("SELECT DISTINCT change FROM changes")} == {
        "inserted", "updated", "deleted",
    }  # fmt: skip
    assert {row for (row,) in told.rows("SELECT DISTINCT posting FROM journal_as_booked")} == {
        "original", "correction", "reversal",
    }  # fmt: skip


def test_the_two_bookings_come_to_the_same(told: Told) -> None:
    sums = ", ".join(f"sum({name})" for name in FIGURES)
    views = (
        "daily_sales", "weekly_sales", "monthly_sales", "daily_sales_by_order_date", "monthly_sales_by_order_date",
    )  # fmt: skip
    found = {
        view: told.rows(f"SELECT currency, sum(orders), {sums} FROM {view} GROUP BY ALL") for view in views
    }
    assert all(found[view] == found["daily_sales"] for view in views), found
    assert found["daily_sales"]


def test_the_journal_of_every_order_is_the_book_the_shop_keeps_of_it(told: Told) -> None:
    """What was sold and kept, tips, and money, order by order; the sandbox's books know nothing of ours."""
    journal = {
        row[0]: row[1:]
        for row in told.rows(
            """SELECT order_id,
              coalesce(sum(credit - debit) FILTER (account IN ('Sales', 'Discounts', 'Returns and allowances',
                'Service charges', 'Sales tax payable', 'Customer overpayments', 'Gift cards sold')), 0),
              coalesce(sum(credit - debit) FILTER (account = 'Tips payable'), 0),
              coalesce(sum(debit - credit) FILTER (account IN ('Cash', 'Gift cards redeemed')
                OR starts_with(account, 'Processor clearing: ')), 0)
            FROM journal_entries GROUP BY ALL"""
        )
    }
    compared = 0
    for book in told.world.books.orders():
        if book.order_id in journal and book.order_id in told.last_read - told.tipped:
            money = (book.total_amount_minor, book.gratuity_kept, book.captured_minor - book.refunded_minor)
            places = exponent(book.currency)
            assert journal[book.order_id] == tuple(to_decimal(amount, places) for amount in money), book
            compared += 1
    assert compared > 100


def test_gift_cards_sold_are_what_the_shop_sold_and_took_back_of_them(told: Told) -> None:
    """Of orders that gave back whole lines, or everything: what of a lump sum is of a card is a convention."""
    journal = dict(
        told.rows(
            "SELECT order_id, sum(credit - debit) FROM journal_entries WHERE account = 'Gift cards sold' GROUP BY ALL"
        )
    )
    compared = 0
    for order_id in told.last_read:
        order = told.world.order(order_id)
        cards = [item for item in order.items if not item.is_revenue]
        lumps = [r for charge in order.charges for r in charge.refunds if not r.lines]
        given_back = sum(refund.amount for refund in lumps)
        if not cards or (lumps and given_back < order.owed):
            continue
        kept = [] if lumps else [item for item in cards if not item.returned]
        worth = sum(item.value - item.discount for item in kept)
        places = exponent(order.currency.upper())
        assert journal[order_id] == to_decimal(worth, places), order_id
        compared += 1
    assert compared > 15


def test_every_entry_and_every_day_of_the_journal_balances(told: Told) -> None:
    for by in ("connection_id, entry_id, currency", "company_id, currency, entry_date"):
        assert (
            told.rows(f"SELECT {by} FROM journal_entries GROUP BY ALL HAVING sum(debit) <> sum(credit)") == []
        )
    assert told.rows("FROM journal_entries WHERE debit < 0 OR credit < 0 OR (debit = 0) = (credit = 0)") == []


@pytest.mark.parametrize(("account", "figure"), ACCOUNTS.items(), ids=ACCOUNTS)
def test_the_trial_balance_of_every_month_is_the_sales_view(told: Told, account: str, figure: str) -> None:
    balance = told.rows(
        "SELECT date_trunc('month', entry_date)::DATE, currency, sum(credit - debit) FROM journal_entries"
        f" WHERE account = '{account}' GROUP BY ALL HAVING sum(credit - debit) <> 0 ORDER BY ALL"
    )
    figures = told.rows(
        f"SELECT month, currency, {figure} FROM monthly_sales WHERE {figure} <> 0 ORDER BY ALL"
    )
    assert balance == figures


def test_the_clearing_accounts_are_the_payments_of_every_day(told: Told) -> None:
    told.same(
        """SELECT entry_date, currency, CASE account WHEN 'Gift cards redeemed' THEN 'Prepaid'
          ELSE replace(account, 'Processor clearing: ', '') END, sum(debit - credit)
        FROM journal_entries
        WHERE account IN ('Cash', 'Gift cards redeemed') OR starts_with(account, 'Processor clearing: ')
        GROUP BY ALL HAVING sum(debit - credit) <> 0""",
        "SELECT day, currency, payment_type, net_amount FROM payments_by_day WHERE net_amount <> 0",
    )


def test_what_stays_receivable_is_what_the_orders_lack(told: Told) -> None:
    told.same(
        """SELECT o.order_id, o.total_amount + o.total_gratuity - o.paid_amount, coalesce(j.open, 0) FROM orders o
        LEFT JOIN (SELECT order_id, sum(debit - credit) AS open FROM journal_entries
          WHERE account = 'Accounts receivable' GROUP BY ALL) j USING (order_id)""",
        """SELECT order_id, total_amount + total_gratuity - paid_amount, total_amount + total_gratuity - paid_amount
        FROM orders""",
    )


def test_the_change_feed_replayed_gives_the_orders_of_every_snapshot(told: Told) -> None:
    """An inserted order was not there, an updated or deleted one was; what is left is what was known then."""
    feed = told.rows(
        "SELECT change_id, snapshot_id, id, change FROM changes WHERE entity = 'orders' ORDER BY change_id"
    )
    assert {change for *_, change in feed} >= {"inserted", "updated"}
    present: dict[str, int] = {}
    for (snapshot,) in told.rows("SELECT snapshot_id FROM snapshots ORDER BY 1"):
        for _, of, order_id, change in feed:
            if of != snapshot:
                continue
            assert (order_id in present) == (change != "inserted")
            if change == "deleted":
                del present[order_id]
            else:
                present[order_id] = snapshot
        known = told.rows(f"SELECT order_id, snapshot_id FROM orders_as_of({snapshot})")
        assert dict(known) == present


@pytest.mark.parametrize("view", ["orders", "order_line_items", "payments"])
def test_the_parts_of_an_order_change_with_it_in_the_feed(told: Told, view: str) -> None:
    """Whoever takes from the history what the feed names holds at every snapshot what was known then."""
    for (snapshot,) in told.rows("SELECT snapshot_id FROM snapshots ORDER BY 1"):
        told.same(
            f"""SELECT h.* EXCLUDE (replaced_by, valid_from, valid_to)
            FROM {view}_history h JOIN (
              SELECT id, arg_max(snapshot_id, change_id) AS snapshot_id FROM changes
              WHERE entity = 'orders' AND snapshot_id <= {snapshot}
              GROUP BY id HAVING arg_max("change", change_id) <> 'deleted'
            ) replayed ON replayed.id = h.order_id AND replayed.snapshot_id = h.snapshot_id""",
            f"SELECT * FROM {view}_as_of({snapshot})",
        )


def test_the_journal_as_booked_balances(told: Told) -> None:
    for by in ("connection_id, entry_id, currency", "company_id, currency, entry_date"):
        assert (
            told.rows(f"SELECT {by} FROM journal_as_booked GROUP BY ALL HAVING sum(debit) <> sum(credit)")
            == []
        )
    assert (
        told.rows("FROM journal_as_booked WHERE debit < 0 OR credit < 0 OR (debit = 0) = (credit = 0)") == []
    )
    assert told.rows(
        "SELECT connection_id, entry_id, account, currency FROM journal_as_booked GROUP BY ALL HAVING count(*) > 1"
    ) == []  # fmt: skip


def test_as_booked_and_restated_come_to_the_same_over_all_days(told: Told) -> None:
    for by in ("account, currency", "account, currency, order_id, event, payment_id"):
        balance = f"SELECT {by}, sum(debit - credit) AS balance FROM"
        told.same(
            f"{balance} journal_as_booked GROUP BY ALL HAVING balance <> 0",
            f"{balance} journal_entries GROUP BY ALL HAVING balance <> 0",
        )


def test_what_was_booked_never_changes_and_a_closed_day_gets_nothing_more(told: Told) -> None:
    """Every line is found again after every later sync, and new ones are of days that no earlier sync had closed."""
    late = 0
    for (before_at, before), (_, after) in pairwise(told.booked):
        lines = Counter(after)
        lines.subtract(before)
        assert min(lines.values()) >= 0, "a line was altered or removed"
        closed = before_at.astimezone(ZoneInfo(MERCHANT.timezone)).date()
        added = [line for line, count in lines.items() if count]
        assert added
        assert all(line[1] >= closed for line in added)
        late += sum(line[2] != "original" for line in added)
    assert late > 10


def test_every_event_is_booked_on_its_day_unless_that_was_closed(told: Told) -> None:
    """The first reading closes nothing: every entry of it is on the day of its event, as in the restated journal."""
    (first,) = told.rows("SELECT min(snapshot_id) FROM snapshots")[0]
    told.same(
        f"""SELECT order_id, event, payment_id, account, currency, entry_date, debit, credit FROM journal_as_booked
        WHERE snapshot_id = {first}""",
        f"""SELECT order_id, event, payment_id, account, currency, entry_date, debit, credit
        FROM journal_entries_as_of({first})""",
    )
    assert told.rows("FROM journal_as_booked WHERE entry_date < event_date") == []


@pytest.mark.parametrize("view", TOLD)
def test_every_state_is_read_back_as_it_was_told(told: Told, view: str) -> None:
    assert len(told.told) == 5
    for snapshot, shown in told.told.items():
        columns = "* EXCLUDE (modified_date)" if view == "payments" else "*"
        found = told.rows(f"SELECT {columns} FROM {view}_as_of({snapshot}) ORDER BY ALL")
        wanted = shown[view]
        if view == "payments":
            names = [name for name, *_ in told.rows("DESCRIBE payments")]
            place = names.index("modified_date")
            wanted = sorted(
                ((*row[:place], *row[place + 1 :]) for row in wanted),
                key=lambda row: [str(value) for value in row],
            )
            found = sorted(found, key=lambda row: [str(value) for value in row])
        assert found == wanted
        assert found


def test_a_restatement_closes_for_every_pair_of_snapshots_month_currency_and_figure(told: Told) -> None:
    """From what was told to what is told, by the orders; against the figures as they were told themselves."""
    names = [name for name, *_ in told.rows("DESCRIBE FROM monthly_sales_as_of(1)")]
    figures: dict[int, dict[tuple[Any, ...], Decimal]] = {}
    for snapshot, shown in told.told.items():
        figures[snapshot] = {
            (row[1], row[2], figure): Decimal(row[names.index(figure)])
            for row in shown["monthly_sales"]
            for figure in RESTATED
        }
    present = {snapshot: {row[2] for row in shown["orders"]} for snapshot, shown in told.told.items()}
    whys: Counter[str] = Counter()
    for told_then, told_now in permutations(told.told, 2):
        was, became = figures[told_then], figures[told_now]
        changed = {
            key: (was.get(key, Decimal(0)), became.get(key, Decimal(0)))
            for key in was.keys() | became.keys()
            if was.get(key, 0) != became.get(key, 0)
        }
        rows = told.rows(
            "SELECT month, currency, figure, was, became, difference, new_difference, changed_difference,"
            f" deleted_difference, orders FROM restatement({told_then}, {told_now})"
        )
        assert {row[:3]: row[3:5] for row in rows if row[3] != row[4]} == changed
        assert all(row[4] - row[3] == row[5] == sum(row[6:9]) for row in rows)
        explained: dict[tuple[Any, ...], dict[str, Decimal]] = {}
        for month, currency, figure, order_id, why, difference in told.rows(
            "SELECT month, currency, figure, order_id, why, difference"
            f" FROM restatement_orders({told_then}, {told_now})"
        ):
            there = (order_id in present[told_then], order_id in present[told_now])
            assert why == {(False, True): "new", (True, False): "deleted", (True, True): "changed"}[there]
            sums = explained.setdefault((month, currency, figure), {"new": Decimal(0), "orders": Decimal(0)})
            sums[why] = sums.get(why, Decimal(0)) + difference
            sums["orders"] += 1
            whys[why] += 1
        assert {row[:3]: row[6:10] for row in rows} == {
            key: (sums["new"], sums.get("changed", 0), sums.get("deleted", 0), sums["orders"])
            for key, sums in explained.items()
        }
    assert whys.keys() == {"new", "changed", "deleted"}


def test_a_restatement_of_a_state_with_itself_is_empty(told: Told) -> None:
    assert told.rows("FROM restatement(now(), now())") == []


def test_a_corrected_time_zone_moves_days_is_told_as_that_and_changes_nothing_that_was_booked(
    tmp_path: Path,
) -> None:
    told = history_of("USD", 15, SHAPES["plain"], tmp_path)
    booked = Counter(told.booked[-1][1])
    days = told.rows("SELECT order_id, created_local_date FROM orders ORDER BY ALL")
    feed = told.rows("SELECT max(change_id) FROM changes")[0][0]
    told.correct(timezone="Asia/Tokyo")
    assert told.rows("SELECT order_id, created_local_date FROM orders ORDER BY ALL") != days
    assert told.rows(f"SELECT entity, id, change, detail FROM changes WHERE change_id > {feed}") == [
        ("connections", CONNECTION, "updated", "timezone: America/New_York -> Asia/Tokyo")
    ]
    assert told.rows("SELECT snapshot_id FROM changes ORDER BY change_id DESC LIMIT 1") == told.rows(
        "SELECT max(snapshot_id) FROM snapshots"
    )
    assert Counter(told.rows(f"SELECT {BOOKED} FROM journal_as_booked")) == booked
    test_the_two_bookings_come_to_the_same(told)
    test_the_clearing_accounts_are_the_payments_of_every_day(told)
    test_as_booked_and_restated_come_to_the_same_over_all_days(told)
    told.same(
        "SELECT order_id, min(entry_date) FROM journal_entries WHERE event = 'sale' GROUP BY ALL",
        "SELECT order_id, created_local_date FROM orders",
    )
    told.correct(country="CAN", timezone="Asia/Tokyo")
    assert told.rows("SELECT detail FROM changes ORDER BY change_id DESC LIMIT 1") == [
        ("country: USA -> CAN",)
    ]
    snapshots = told.rows("SELECT count(*) FROM snapshots")
    told.correct(country="CAN", timezone="Asia/Tokyo")
    assert told.rows("SELECT count(*) FROM snapshots") == snapshots


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_copy_that_takes_over_what_changed_is_the_same_as_every_view(tmp_path: Path, kind: Format) -> None:
    """From an empty database on, by the statements that come with the files, over loads, deletions and corrections.

    Once from nothing, and once by a copy that looks only at every second load.
    """
    copies = [Copy(kind, tmp_path / "each"), Copy(kind, tmp_path / "second")]

    def look(told: Told) -> None:
        for copy, every in zip(copies, (1, 2), strict=True):
            if len(told.booked) % every == 0:
                copy.take_over(told)

    told = history_of("USD", 16, SHAPES["mixed"], tmp_path, look)
    told.correct(timezone="Asia/Tokyo")
    copies[1].take_over(told)
    assert [copy.times for copy in copies] == [6, 3]
    told.db.close()


class Copy:
    """A database of one table a view, brought up to date by what is exported since the snapshot it holds."""

    def __init__(self, kind: Format, directory: Path) -> None:
        self._kind, self._directory, self._since = kind, directory, 0
        directory.mkdir()
        self._db = duckdb.connect()
        self._db.execute("SET TimeZone = 'UTC'")
        self.times = 0

    def take_over(self, told: Told) -> None:
        self.times += 1
        directory = self._directory / str(self.times)
        directory.mkdir()
        views = {
            view: columns
            for view, columns in columns_of_views(told.db).items()
            if mirror_in(told.db, view, columns) is not None
        }
        assert {
            "orders",
            "order_versions",
            "payments_history",
            "data_issues",
            "journal_as_booked",
            "order_line_items",
            "payments",
            "changes",
        } <= views.keys()
        wanted = Wanted(self._kind, since_snapshot=self._since)
        written = [write_view(told.db, directory, view, columns, wanted) for view, columns in views.items()]
        if self._since:
            orders = next(one.rows for one in written if one.view == "orders")
            assert orders < told.rows("SELECT count(*) FROM orders")[0][0] or told.rows(
                "FROM ledger.setting_changes"
            )
        for one in written:
            if not self._since:
                types = ", ".join(f'"{name}" {type_}' for name, type_ in one.columns.items())
                self._db.execute(f"CREATE TABLE {one.view} ({types})")
            assert one.merge is not None
            self._db.execute(one.merge)
        for view in views:
            copied = self._db.execute(f"FROM {view} ORDER BY ALL").fetchall()
            assert copied == told.rows(f"FROM {view} ORDER BY ALL"), (self.times, view)
        self._since = told.rows("SELECT max(snapshot_id) FROM snapshots")[0][0]
