"""What changed between snapshots, deletions above all: in the feed, after a reconciliation, in webhooks."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import httpx
import pytest

from connector.api.evidence.check import check_evidence
from connector.api.webhook_delivery import notice
from connector.config import Company, Config, Connection
from connector.control import companies as api_companies
from connector.control import keys as api_keys
from connector.ledger import open_store
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.world import World
from connector.sync.many import sync_all
from connector.sync.reconcile.run import reconcile_all
from connector.sync.runtime import Runtime

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
CONNECTION = f"/companies/{JUNIPER}/connections/{SHOP}"
ROOT = Path(__file__).parents[2]
TOTALS = ("totalAmount", "totalRefund", "totalTaxAmount", "totalDiscount", "totalGratuity")


@pytest.fixture(scope="module")
def get(shared):
    headers = shared.key("read", companies=[JUNIPER])

    def ask(path, **params):
        answer = shared.client.get(f"{CONNECTION}/{path}", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    return ask


def test_inserted_updated_and_deleted_orders_with_their_totals(get):
    changed = get("changes", fromSnapshot=1, toSnapshot=3)
    assert [c["id"] for c in changed["inserted"]] == ["99FAILED"]
    assert [c["id"] for c in changed["updated"]] == ["00ORDER"]
    assert [(c["id"], c["snapshotId"], c["month"]) for c in changed["deleted"]] == [("07ORDER", 3, "2026-10")]
    assert changed["counts"] == {"inserted": 1, "updated": 1, "deleted": 1}
    [updated] = changed["updated"]
    assert (updated["from"]["totalRefund"], updated["to"]["totalRefund"]) == (0, Decimal("-11.5"))
    assert "to" not in changed["deleted"][0]
    assert "from" not in changed["inserted"][0]
    assert get("snapshots")["results"][0]["ordersDeleted"] == 0  # as the fixture's load counted


@pytest.mark.parametrize(("since", "until"), [*combinations((0, 1, 2, 3), 2), (3, 3), (0, 0)])
def test_the_state_before_with_the_changes_is_the_state_after_and_months_add_up(get, since, until):
    def state(snapshot):
        if snapshot == 0:
            return {}
        return {
            o["id"]: tuple(o[name] for name in TOTALS)
            for o in get("data/commerce-orders", asOf=snapshot, pageSize=5000)["results"]
        }

    before, after = state(since), state(until)
    changed = get("changes", fromSnapshot=since, toSnapshot=until)
    held = dict(before)
    for change in changed["deleted"]:
        assert held.pop(change["id"]) == tuple(change["from"][name] for name in TOTALS)
    for change in changed["inserted"]:
        assert change["id"] not in held
        held[change["id"]] = tuple(change["to"][name] for name in TOTALS)
    for change in changed["updated"]:
        assert held[change["id"]] == tuple(change["from"][name] for name in TOTALS)
        held[change["id"]] = tuple(change["to"][name] for name in TOTALS)
    assert held == after
    for place, name in enumerate(TOTALS):
        told = sum(month["difference"][name] for month in changed["months"])
        assert told == sum(v[place] for v in after.values()) - sum(v[place] for v in before.values())
        by_kind = sum(month[k][name] for month in changed["months"] for k in changed["counts"] if k in month)
        assert by_kind == told


def test_pages_of_changes_stay_on_the_snapshot_the_first_came_to(get, shared):
    ids, page = [], get("changes", fromSnapshot=0, pageSize=7)
    assert "toSnapshot=3" in page["_links"]["next"]["href"]
    while True:
        ids += [c["id"] for kind in page["counts"] for c in page[kind]]
        if "next" not in page["_links"]:
            break
        headers = shared.key("read")
        page = shared.client.get(page["_links"]["next"]["href"], headers=headers).json()
    assert len(ids) == len(set(ids)) == page["totalResults"] == 30
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 400), ({"fromSnapshot": -1}, 400), ({"fromSnapshot": "x"}, 400), ({"fromSnapshot": 4}, 400),
        ({"fromSnapshot": 3, "toSnapshot": 1}, 400), ({"fromSnapshot": 0, "toSnapshot": 4}, 400),
        ({"FROMSNAPSHOT": 1}, 200),
    ],
)  # fmt: skip
def test_snapshots_that_cannot_be_are_a_400(shared, params, status):
    answer = shared.client.get(f"{CONNECTION}/changes", params=params, headers=shared.key("read"))
    assert answer.status_code == status


def test_the_changes_of_one_snapshot_are_those_since_the_one_before(get, shared):
    for snapshot in (1, 3):
        one = get(f"snapshots/{snapshot}/changes")
        both = get("changes", fromSnapshot=snapshot - 1, toSnapshot=snapshot)
        assert {k: v for k, v in one.items() if k != "_links"} == {
            k: v for k, v in both.items() if k != "_links"
        }
    for other, status in ((2, 404), (4, 404), (0, 400)):
        answer = shared.client.get(f"{CONNECTION}/snapshots/{other}/changes", headers=shared.key("read"))
        assert answer.status_code == status, other


PATHS = ("snapshots", "changes?fromSnapshot=1", "snapshots/3/changes", "restatement?told=1")


@pytest.mark.parametrize("path", PATHS)
def test_a_store_that_was_restored_is_another_epoch_and_says_so(books, server, path):
    """A client's snapshot 3 may be another one by now: it is told, and does not take an empty answer for no news."""
    headers = server.key("read", companies=[JUNIPER])
    first = server.client.get(f"{CONNECTION}/{path}", headers=headers)
    epoch = first.headers["x-snapshot-epoch"]
    assert (first.status_code, first.json()["epoch"]) == (200, epoch)
    join = "&" if "?" in path else "?"
    assert server.client.get(f"{CONNECTION}/{path}{join}epoch={epoch}", headers=headers).status_code == 200
    books.epoch = "epoch-after-restore"
    books.publish()
    answer = server.client.get(f"{CONNECTION}/{path}{join}epoch={epoch}", headers=headers)
    assert answer.status_code == 410
    assert "epoch-after-restore" in answer.json()["error"]
    assert server.client.get(f"{CONNECTION}/{path}", headers=headers).json()["epoch"] == "epoch-after-restore"


def test_a_corrected_time_zone_is_told_as_what_it_is(books, server):
    books.settings.append((JUNIPER, SHOP, 3, "timezone", "America/New_York", "America/Chicago"))
    books.publish()
    headers = server.key("read", companies=[JUNIPER])
    told = [{"setting": "timezone", "from": "America/New_York", "to": "America/Chicago", "snapshotId": 3}]
    for path, expected in (
        ("changes?fromSnapshot=1", told),
        ("snapshots/3/changes", told),
        ("snapshots/1/changes", []),
    ):
        assert server.client.get(f"{CONNECTION}/{path}", headers=headers).json()["settings"] == expected


def test_who_asks_for_what_was_modified_since_the_last_answer_misses_nothing(books, server):
    """Loaded at noon, published later: a clock of one's own skips it, what the answer said of itself does not."""
    headers = server.key("read", companies=[JUNIPER])
    orders = f"{CONNECTION}/data/commerce-orders"
    before = server.client.get(orders, headers=headers)
    since = before.headers["x-modified-until"]
    assert since == "2026-11-19T04:00:00Z"
    assert max(order["modifiedDate"] for order in before.json()["results"]) <= since
    late = books.orders[5]
    late.replaced_by = 4
    books.snapshot(4, "r4", JUNIPER, SHOP, datetime(2026, 11, 19, 12))  # noqa: DTZ001
    books.run("r4", JUNIPER, SHOP, datetime(2026, 11, 19, 12))  # noqa: DTZ001
    books.orders.append(replace(late, snapshot=4, replaced_by=None, loaded=datetime(2026, 11, 19, 12)))  # noqa: DTZ001
    books.publish()
    query = {"query": f"modifiedDate>{since}"}
    found = server.client.get(orders, params=query, headers=headers).json()["results"]
    assert [order["id"] for order in found] == [late.order_id]


# Figures as told, and now ------------------------------------------------------------------------------------------


def test_a_restatement_says_what_was_what_is_and_which_orders_explain_it(get):
    """Snapshot 3 refunds 10.00 and 1.50 tax of one order, deletes another, and brings one that was never paid."""
    found = get("restatement", told=1)
    assert (found["toldSnapshot"], found["nowSnapshot"], found["totalResults"]) == (1, 3, 3)
    assert {order["id"]: order["why"] for order in found["results"]} == {
        "00ORDER": "changed", "07ORDER": "deleted", "99FAILED": "new",
    }  # fmt: skip
    [changed] = [order for order in found["results"] if order["id"] == "00ORDER"]
    assert changed["differences"] == {
        "returns": 10, "netSales": -10, "tax": Decimal("-1.5"), "totalSales": Decimal("-11.5"),
        "amountCollected": Decimal("-11.5"),
    }  # fmt: skip
    [month] = found["months"]
    assert (month["month"], month["currency"]) == ("2026-10", "USD")
    for name, figure in month["figures"].items():
        assert (
            figure["is"] - figure["was"]
            == figure["difference"]
            == sum(figure[why] for why in ("new", "changed", "deleted"))
        )
        explained = [order["differences"][name] for order in found["results"] if name in order["differences"]]
        assert (sum(explained), len(explained)) == (figure["difference"], figure["orders"])


def test_a_restatement_takes_times_and_pages_and_is_empty_where_nothing_changed(get, shared):
    by_time = get("restatement", told="2026-11-18T12:00:00Z", now="2026-11-20T00:00:00Z")
    assert by_time["months"] == get("restatement", told=1)["months"]
    first = get("restatement", told=1, pageSize=2)
    assert first["months"] == by_time["months"]
    rest = shared.client.get(first["_links"]["next"]["href"], headers=shared.key("read")).json()
    ids = [order["id"] for order in [*first["results"], *rest["results"]]]
    assert ids == [order["id"] for order in by_time["results"]]
    same = get("restatement", told=3)
    assert (same["results"], same["months"]) == ([], [])


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 400),
        ({"told": 4}, 400),
        ({"told": "x"}, 400),
        ({"told": 1, "now": 9}, 400),
        ({"told": "2020-01-01"}, 409),
    ],
)
def test_a_restatement_of_what_never_was_is_refused(shared, params, status):
    answer = shared.client.get(f"{CONNECTION}/restatement", params=params, headers=shared.key("read"))
    assert answer.status_code == status


# A shop from which Clover deletes an order -------------------------------------------------------------------------

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FAST = {"requests_per_second": 10_000, "app_requests_per_second": 10_000}


class Shop:
    """A synced sandbox behind a running server, with a clock."""

    def __init__(self, directory, sandbox, builders):
        self.world, self.now = sandbox.world, NOON
        self.connection = Connection(
            merchant_id=self.world.merchant.id, merchant_name="Juniper Goods", base_url=sandbox.base_url,
            country="USA", timezone="America/New_York", token=sandbox.token, start_date=date(2026, 1, 1),
            platform="off",
        )  # fmt: skip
        self.company = Company(name="Juniper Goods", connections=[self.connection])
        self.config = Config(store=str(directory), companies=[self.company], limits=FAST)
        self.store = open_store(self.config.store, clock=lambda: self.now)
        self.path = f"/companies/{self.company.id}/connections/{self.connection.id}"
        self._listening = builders.listening(self.store.directory, clock=lambda: self.now)

    def __enter__(self):
        self.url, self.state = self._listening.__enter__()
        api_companies.take_from_config(
            self.state.control, [(self.company.id, self.company.name, [self.connection.id])], now=NOON
        )
        secret = api_keys.create_key(self.state.control, "lender", now=NOON, scopes=("read",))[1]
        self.headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}
        return self

    def __exit__(self, *error):
        self._listening.__exit__(*error)

    def sync(self):
        self.now += timedelta(hours=1)
        [run] = sync_all(Runtime.of(self.config, self.store, now=lambda: self.now)).runs
        assert run.exit_code in (0, 3), run
        return run

    def reconcile(self):
        self.now += timedelta(minutes=1)
        return reconcile_all(Runtime.of(self.config, self.store, now=lambda: self.now))

    def get(self, path, status=200, **params):
        answer = httpx.get(self.url + path, params=params, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture
def shop(tmp_path, builders):
    world = World()
    opened = NOON - timedelta(days=60)
    for day in range(4):
        world.sell(opened + timedelta(days=day), [("Teapot", 1100 + day * 100)])
    with Sandbox(world).start() as sandbox, Shop(tmp_path / "store", sandbox, builders) as made:
        yield made


def delete_with_its_money(world, order_id):
    """The order and its charges: an order alone takes no money with it, and would stay in the figures."""
    for charge_id in world.charge_ids(order_id):
        world.void(NOON, charge_id, how="gone")
    world.delete_order(NOON, order_id)


def test_what_a_reconciliation_found_deleted_is_said_until_the_next_sync_has_it(shop):
    shop.sync()
    orders = f"{shop.path}/data/commerce-orders"
    before = shop.get(orders).json()
    assert "deletedAtSource" not in before
    gone = before["results"][1]
    delete_with_its_money(shop.world, gone["id"])
    shop.sync()
    quiet = shop.get(orders)
    assert (
        "x-deleted-at-source" not in quiet.headers
    )  # nobody knows yet: old settled orders are not read again
    assert gone in quiet.json()["results"]

    assert shop.reconcile().connections[0].agrees
    told = shop.get(orders)
    deleted = {
        "orders": 1,
        "orderIds": [gone["id"]],
        "amounts": [{"currency": "USD", "amount": gone["totalAmount"]}],
    }
    assert told.json()["deletedAtSource"] == deleted
    assert told.headers["etag"] != quiet.headers["etag"]
    for path in ("commerce-payments", "commerce-transactions"):
        assert shop.get(f"{shop.path}/data/{path}").json()["deletedAtSource"] == deleted
    assert shop.get(f"{shop.path}/reconciliation").json()["deletedAtSource"] == deleted
    words = f"1 orders, USD {gone['totalAmount']:g}"
    assert shop.get(f"{orders}/{gone['id']}").headers["x-deleted-at-source"] == words
    report = shop.get(
        f"/data{shop.path}/assess/commerceMetrics/orders",
        reportDate="02-03-2026", periodLength=1, numberOfPeriods=3, periodUnit="Month",
    ).json()  # fmt: skip
    assert report["reportInfo"]["deletedAtSource"] == words
    shop.reconcile()  # finds it again, and says it once
    assert shop.get(orders).json()["deletedAtSource"] == deleted
    held = shop.get(f"{shop.path}/snapshots").json()["results"][0]["snapshotId"]

    shop.sync()
    after = shop.get(orders)
    assert "deletedAtSource" not in after.json()
    assert "x-deleted-at-source" not in after.headers
    shop.get(f"{orders}/{gone['id']}", status=404)
    changed = shop.get(f"{shop.path}/changes", fromSnapshot=held).json()
    assert [c["id"] for c in changed["deleted"]] == [gone["id"]]
    assert (changed["inserted"], changed["updated"]) == ([], [])
    [month] = changed["months"]
    assert month["deleted"]["orders"] == 1
    assert month["difference"]["totalAmount"] == -gone["totalAmount"]
    newest = shop.get(f"{shop.path}/snapshots").json()["results"][0]
    assert (newest["ordersDeleted"], newest["ordersUpdated"]) == (1, 1)
    with shop.store.open_reader() as reader:
        issues = reader.connection.execute(
            "SELECT order_id, severity, difference_amount, resolved_snapshot FROM data_issues"
            " WHERE code = 'deleted_at_clover'"
        ).fetchall()
    # One about the order and one about its charge, both closed by the sync that had them.
    assert {(row[0], row[1]) for row in issues} == {(gone["id"], "warning")}
    assert {row[3] for row in issues} == {newest["snapshotId"]}
    # Its charge is gone too, so no money is held back for it.
    assert after.headers["x-held-back"] == "1 records, 0"


def test_the_webhook_of_a_run_counts_what_it_found_deleted(shop):
    with shop.state.control.transaction() as db:
        db.execute(
            "INSERT INTO webhooks (webhook_id, url, event_types, secret, created) VALUES"
            " ('w', 'https://lender.example.com', '[]', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '2026-03-02')"
        )
    shop.sync()
    gone = shop.get(f"{shop.path}/data/commerce-orders").json()["results"][0]["id"]
    delete_with_its_money(shop.world, gone)
    shop.reconcile()
    shop.sync()
    notice(shop.state)
    bodies = [
        json.loads(row["body"])
        for row in shop.state.control.rows("SELECT body FROM outbox_events ORDER BY rowid")
    ]
    counts = [
        [
            entry["recordsDeleted"]
            for entry in body["payload"]["dataTypes"]
            if entry["dataType"] == "commerce-orders"
        ]
        for body in bodies
        if body["eventType"] == "read.completed"
    ]
    assert counts[0] == [0]
    assert counts[-1] == [1]


def test_evidence_of_a_synced_shop_is_sound_by_the_api_and_by_the_command(shop, tmp_path):
    shop.world.sell(NOON - timedelta(days=3), [("Lamp", 3333)], tax_rate=8_875, tip=250)
    shop.sync()
    shop.reconcile()
    path = tmp_path / "api.zip"
    path.write_bytes(shop.get(f"{shop.path}/evidence").content)
    fingerprint = shop.get("/evidence/key").json()["fingerprint"]
    checked = check_evidence(path, key=fingerprint)
    assert (checked.faults, checked.orders) == ([], 5)
    assert checked.manifest["dataQuality"]["complete"] is True
    (tmp_path / "config.yaml").write_text(
        f"store: {shop.config.store}\n"
        f"companies:\n  - id: {shop.company.id}\n    name: Juniper Goods\n    connections:\n"
        f"      - {{id: {shop.connection.id}, merchant_id: {shop.connection.merchant_id}, country: USA,"
        f" timezone: America/New_York, token: a-token-value, start_date: 2026-01-01}}\n"
    )

    def connector(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "connector", "evidence", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    done = connector("make", "--to", "cli.zip", "--company", "juniper goods")
    assert (done.returncode, "5 orders of Juniper Goods" in done.stdout) == (0, True), done.stderr
    assert connector("verify", "cli.zip", "--key", fingerprint).returncode == 0
    made = check_evidence(tmp_path / "cli.zip").manifest
    sealed = checked.manifest
    assert {k: v for k, v in made.items() if k != "sealedAt"} == {
        k: v for k, v in sealed.items() if k != "sealedAt"
    }
    refused = connector("make", "--to", "cli.zip", "--snapshot", "99")
    assert (refused.returncode, "no snapshot 99" in refused.stderr) == (2, True)
    assert fingerprint in connector("key", "--json").stdout
    assert (tmp_path / "cli.zip").stat().st_mode & 0o077 == 0
