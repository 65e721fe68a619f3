"""Several merchants are reconciled side by side, and their results become visible together."""

import threading

from pydantic import SecretStr

from connector.sync.connect.connecting import Pace
from connector.sync.reconcile import run as reconciling
from connector.sync.reconcile.run import reconcile_all
from connector.sync.runtime import Runtime


def runtime_of(town):
    return Runtime(town.config, town.store, Pace(town.config), town.clock.now)


def test_merchants_are_reconciled_at_the_same_time_and_reported_in_order(town, monkeypatch):
    here = town(3)
    here.sync()
    together, read = threading.Barrier(3), reconciling._reconcile

    def wait_for_the_others(*arguments):
        together.wait(20)
        read(*arguments)

    monkeypatch.setattr(reconciling, "_reconcile", wait_for_the_others)
    report = reconcile_all(runtime_of(here))
    assert report.exit_code == 0
    assert [found.connection_id for found in report.connections] == [c.id for _, c in here.config.pairs()]
    kept = here.rows("SELECT count(DISTINCT run_id) FROM ledger.sync_runs WHERE kind = 'reconcile'")
    assert kept == [(3,)]


def test_one_merchant_that_cannot_be_read_stops_no_other(town):
    here = town(2)
    here.sync()
    first, *others = here.config.companies
    wrong = first.connections[0].model_copy(update={"token": SecretStr("a-token-that-was-revoked")})
    first = first.model_copy(update={"connections": [wrong]})
    here.config = here.config.model_copy(update={"companies": [first, *others]})
    failed, agreed = reconcile_all(runtime_of(here)).connections
    assert (failed.agrees, agreed.agrees) == (False, True)
    assert failed.error
    assert failed.hint
