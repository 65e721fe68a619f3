"""The hand-worked ledgers as Clover would tell them, run through the real mapping into a real store."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import yaml

from connector.cli.entry import run
from connector.ledger import ConnectionRow, RunRow, open_store
from connector.ledger.load.batch import Batch, NdjsonWriter
from connector.sync.map.order_rows import order_row
from connector.sync.map.side_records import SideRecords
from schemas.times import ledger_text
from schemas.wire import members
from transforms.beside.customers import customers_of
from transforms.beside.merchant import location_of
from transforms.beside.products import products_of
from transforms.document import document
from transforms.model import Merchant, PreviousVersion
from transforms.order.order import map_order
from transforms.read.group import parse_group

LEDGERS = Path(__file__).parent / "ledger"
NAMES = ("juniper", "kite", "lark")
RATE = {"0.08": 800_000, "0.13": 1_300_000, "0.1": 1_000_000}  # percent x 100,000, as Clover writes a rate


def read_yaml(path):
    """Everything as text: money must never pass through a float."""
    return yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)


class Ledger:
    """One ledger file: the shop, what happened in it, and the books."""

    def __init__(self, name):
        self.name = name
        self.text = read_yaml(LEDGERS / f"{name}.yaml")
        self.expected = read_yaml(LEDGERS / f"{name}.expected.yaml")
        self.company_id = f"{name}-company"
        self.connection_id = f"{name}-connection"
        self.merchant = Merchant(
            merchant_id=f"{name.upper()}M",
            merchant_name=self.text["company"],
            country=self.text["country"],
            currency=self.text["currency"],
            timezone=self.text["timezone"],
        )

    @property
    def orders(self):
        return self.text["orders"]

    @property
    def sold(self):
        """The orders that count."""
        return [order for order in self.orders if "held_back" not in order]

    @property
    def loads(self):
        return [self.moment(load) for load in self.text["loads"]]

    def moment(self, clock):
        """The shop's clock as UTC. EDT and EST tell the two 1:30 of an autumn night apart."""
        text, _, summer = clock.partition(" E")
        local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.text["timezone"]))
        return local.replace(fold=int(summer == "ST")).astimezone(UTC)

    def currency(self, order):
        return order.get("currency", self.text["currency"])

    def minor(self, order, amount):
        """Whole minor units, as Clover counts."""
        return int(Decimal(amount) * (1 if self.currency(order) == "JPY" else 100))

    def clover(self, order, at):
        """What Clover would have said of one order at a moment, or None before the sale.

        (id of the order, the order or None where there is only a charge, its charges, its refunds)
        """
        sold = self.moment(order["sold"])
        if sold > at:
            return None
        minor = lambda amount: self.minor(order, amount)  # noqa: E731
        charges, refunds = [], []
        for number, paid in enumerate(order.get("paid", ()), start=1):
            when = self.moment(paid["at"]) if "at" in paid else sold + timedelta(minutes=1)
            if when <= at:
                charges.append(self._charge(order, paid, number, when))
        for number, back in enumerate(order.get("refunds", ()), start=1):
            when = self.moment(back["at"])
            if when <= at:
                refunds.append(self._refund(order, back, number, when))
        if "without_order" in order:
            return charges[0]["id"], None, charges, refunds
        went_back = [r for r in refunds if r["status"] == "succeeded" and r["object"] == "refund"]
        returned = sum(refund["amount"] for refund in went_back)
        money = [charge for charge in charges if charge["status"] == "succeeded" and charge["captured"]]
        gone = returned
        for charge in money:
            charge["amount_refunded"] = min(gone, charge["amount"] + charge.get("tip_amount", 0))
            gone -= charge["amount_refunded"]
            charge["refunds"] = {"data": [r for r in went_back if r["charge"] == charge["id"]]}
        items, total = self._items(order, at)
        beside = order.get("wire") == "tax beside the amount"
        tax = minor(order.get("tax", "0"))
        record = {
            "id": order["id"],
            "object": "order",
            "amount": total,
            "currency": self.currency(order),
            "created": milliseconds(sold),
            "status": "created",
            "items": items,
        }
        if tax:
            record["tax_amount"] = tax
        if "tip" in order:
            record["tip_amount"] = minor(order["tip"])
        if "customer" in order:
            name = order["customer"]
            record |= {
                "customer": f"C-{name}",
                "email": f"{name.lower()}@example.com",
                "shipping": {"name": name},
            }
        if money:
            record |= {
                "status": "paid",
                "amount_paid": min(total + (tax if beside else 0), sum(charge["amount"] for charge in money)),
                "charge": charges[-1]["id"],
                "past_charges": charges[:-1],
                "status_transitions": {"paid": money[-1]["created"]},
            }
        if returned:
            record["amount_returned"] = returned
        return order["id"], record, charges, refunds

    def _items(self, order, at):
        minor = lambda amount: self.minor(order, amount)  # noqa: E731
        items, total = [], 0
        taxable = sum(minor(g["price"]) * int(g["quantity"]) for g in order["goods"]) - sum(
            minor(amount) for amount in order.get("discount", {}).values()
        )
        for goods in order["goods"]:
            price, quantity = minor(goods["price"]), int(goods["quantity"])
            total += price * quantity
            item = {
                "type": "sku",
                "inventory_id": f"P-{goods['item']}",
                "description": goods["item"],
                "amount": price * quantity if order.get("wire") == "line totals" else price,
                "quantity": quantity,
                "tax_rates": [{"name": "NO_TAX_APPLIED"}],
            }
            if "tax" in order:
                rate = f"{round(minor(order['tax']) / taxable, 3)}"
                item["tax_rates"] = [{"name": "Sales tax", "rate": RATE[rate]}]
            came_back = sum(
                minor(back["of"][goods["item"]])
                for back in order.get("refunds", ())
                if goods["item"] in back.get("of", {}) and self.moment(back["at"]) <= at
            )
            if came_back:
                item["amount_refunded"] = came_back
            items.append(item)
        for name, amount in order.get("discount", {}).items():
            total -= minor(amount)
            items.append({"type": "discount", "amount": -minor(amount), "description": name})
        if "shipping" in order:
            total += minor(order["shipping"])
            items.append({"type": "shipping", "amount": minor(order["shipping"]), "description": "Ground"})
        if "tax" in order and order.get("wire") != "tax beside the amount":
            total += minor(order["tax"])
            items.append({"type": "tax", "amount": minor(order["tax"]), "description": "Sales tax"})
        return items, total

    def _charge(self, order, paid, number, when):
        status = paid.get("status", "succeeded")
        charge = {
            "id": f"{order['id']}-C{number}",
            "amount": self.minor(order, paid["amount"]),
            "currency": self.currency(order).lower(),
            "created": milliseconds(when),
            "captured": status == "succeeded",
            "paid": status in ("succeeded", "authorised"),
            "status": {"authorised": "succeeded"}.get(status, status),
            "ecomind": "retail" if paid.get("by") == "card at the counter" else "ecom",
            "payment_method_details": {
                "gift card": "giftCard",
                "paypal": "paypal",
                "bank transfer": "ach",
            }.get(paid.get("by"), "card"),
            "source": {"brand": "VISA", "last4": "4242"},
        }
        if "without_order" not in order:
            charge["order"] = order["id"]
        if "customer" in order:
            charge["customer"] = f"C-{order['customer']}"
        if "tip" in paid:
            charge["tip_amount"] = self.minor(order, paid["tip"])
        if "surcharge" in paid:
            amount = self.minor(order, paid["surcharge"])
            charge["additional_charges"] = {
                "elements": [{"amount": amount, "rate": 30000, "type": "CREDIT_SURCHARGE"}]
            }
        return charge

    def _refund(self, order, back, number, when):
        status = back.get("status", "succeeded")
        return {
            "id": f"{order['id']}-R{number}",
            "object": "void_on_refund" if status == "voided" else "refund",
            "amount": self.minor(order, back["amount"]),
            "charge": f"{order['id']}-C1",
            "created": milliseconds(when),
            "status": "failed" if status == "failed" else "succeeded",
        }


def milliseconds(moment):
    return int(moment.timestamp()) * 1000


def load(store, ledger, number, at, directory, previous):
    """One run of the connector at a moment: every order as Clover had it then, mapped and applied."""
    ids = {"company_id": ledger.company_id, "connection_id": ledger.connection_id}
    rows = {"order_versions": [], "data_issues": [], "held_back": [], "seen_orders": []}
    known, unchanged, tombstones, side = dict(previous), 0, [], SideRecords()
    side.gather("locations", members(location_of(ledger.merchant)), at)
    for order in ledger.orders:
        raw = ledger.clover(order, at)
        if raw is None:
            continue
        order_id, record, charges, refunds = raw
        group, unreadable = parse_group(record, charges, refunds)
        assert not unreadable, unreadable
        before = previous.get(order_id)
        mapped = map_order(group, ledger.merchant, previous=before, run_start=at)
        rows["seen_orders"].append({"order_id": order_id})
        for issue in mapped.issues:
            rows["data_issues"].append(
                ids | {
                    "order_id": order_id, "code": issue.code, "severity": issue.severity.value,
                    "detail": issue.detail, "difference_minor": issue.difference_minor,
                    "currency": ledger.currency(order),
                }
            )  # fmt: skip
        if mapped.order is None:
            held = {
                "record_kind": "order",
                "record_id": order_id,
                "order_id": order_id,
                "reason": mapped.held_back,
            }
            rows["held_back"].append(ids | held)
            tombstones += [order_id] if before else []
            continue
        for customer in customers_of(group):
            side.gather("customers", members(customer), mapped.source_modified_date)
        for product in products_of(mapped.order):
            side.gather("products", members(product), mapped.source_modified_date)
        if before is not None and before.content_hash == mapped.content_hash:
            unchanged += 1
            continue
        rows["order_versions"].append(
            order_row(ledger.company_id, ledger.connection_id, mapped, document(mapped, before))
        )
        known[order_id] = PreviousVersion(mapped.source_modified_date, mapped.content_hash)
    rows["record_versions"] = side.rows(ledger.company_id, ledger.connection_id, lambda *_: {})
    run_id = f"{ledger.name}-run-{number}"
    store.apply(
        Batch(
            run=RunRow(
                run_id=run_id, company_id=ledger.company_id, connection_id=ledger.connection_id, kind="sync",
                started_at=at, finished_at=at + timedelta(minutes=1), orders_held_back=len(rows["held_back"]),
            ),
            connection=ConnectionRow(
                company_id=ledger.company_id, company_name=ledger.text["company"], connection_id=ledger.connection_id,
                merchant_id=ledger.merchant.merchant_id, merchant_name=ledger.merchant.merchant_name,
                environment="sandbox", country=ledger.merchant.country, currency=ledger.merchant.currency,
                timezone=ledger.merchant.timezone,
            ),
            files=written(directory / run_id, rows),
            cursors=dict.fromkeys(("charges", "orders", "refunds"), at),
            tombstones=tombstones,
            orders_unchanged=unchanged,
        )
    )  # fmt: skip
    return known


def written(directory, rows):
    """The files of a batch: table -> path."""
    directory.mkdir()
    with NdjsonWriter(directory) as writer:
        for table, some in rows.items():
            writer.write(table, some)
        return writer.close()


def reconciliation_rows(ledger):
    """A comparison with Clover that agrees, on one day, and one that is a cent off and explained."""
    return [
        {
            "run_id": f"{ledger.name}-reconcile", "company_id": ledger.company_id,
            "connection_id": ledger.connection_id, "reconciled_at": ledger_text(ledger.loads[-1]),
            "since": ledger_text(ledger.loads[-1] - timedelta(days=2)), "until": ledger_text(ledger.loads[-1]),
            "day": f"{ledger.loads[-1] - timedelta(days=day):%Y-%m-%d}", "stream": "charges",
            "currency": ledger.text["currency"], "clover_count": 3, "clover_amount": "62.00", "stored_count": 3,
            "stored_amount": "62.00" if day == 1 else "61.99", "explained": "0.00" if day == 1 else "0.01",
            "unexplained": "0.00", "detail": "" if day == 1 else "1 charge rounded",
        }
        for day in (1, 2)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def ledgers():
    """The ledgers by name."""
    return {name: Ledger(name) for name in NAMES}


@pytest.fixture(scope="session")
def ledger_store(ledgers, tmp_path_factory):
    """A store into which every ledger was loaded, in the order in which things happened."""
    directory = tmp_path_factory.mktemp("ledger")
    clock = SimpleNamespace(now=None)
    store = open_store(directory / "store", clock=lambda: clock.now)
    known = {name: {} for name in NAMES}
    steps = sorted(
        ((at, name, number) for name in NAMES for number, at in enumerate(ledgers[name].loads, start=1)),
    )
    clock.now = steps[0][0]
    store.repair()
    for at, name, number in steps:
        clock.now = at + timedelta(minutes=1)
        known[name] = load(store, ledgers[name], number, at, directory, known[name])
    compared = {
        "reconciliations": [row for ledger in ledgers.values() for row in reconciliation_rows(ledger)]
    }
    last = ledgers["juniper"]
    at = last.loads[-1] + timedelta(hours=1)
    clock.now = at
    run = RunRow(
        run_id="juniper-reconcile", company_id=last.company_id, connection_id=last.connection_id, kind="reconcile",
        started_at=at, finished_at=at,
    )  # fmt: skip
    store.apply(Batch(run=run, files=written(directory / "reconcile", compared)))
    store.publish()
    return store


@pytest.fixture(scope="session")
def sales(ledger_store):
    """A read-only connection on the published ledger store, UTC."""
    with ledger_store.open_reader() as reader:
        yield reader.connection


@pytest.fixture(scope="session")
def rows(sales):
    """SQL -> rows as dictionaries."""

    def fetch(sql, *values):
        result = sales.execute(sql, list(values))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return fetch


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """A directory in which `connector demo` has run: ./demo/config.yaml, ./demo/data. Always the same shop."""
    directory = tmp_path_factory.mktemp("analyst")
    code = run(["--config", str(directory / "none.yaml"), "demo", "--dir", str(directory / "demo"), "--json"])
    assert code in (0, 3)
    return directory


@pytest.fixture(scope="session")
def demo_sales(demo):
    """A read-only connection on the demo's published file, UTC."""
    with open_store(demo / "demo/data").open_reader() as reader:
        yield reader.connection
