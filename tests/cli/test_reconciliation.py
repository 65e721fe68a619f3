"""A reconciliation on the screen: both sides, the verdict, and what to do about a difference."""

from datetime import UTC, date, datetime

import pytest

from connector.cli.terminal.reconciliation import print_reconciliation
from connector.sync.reconcile.comparison import Difference, Line, Reason
from connector.sync.reconcile.report import ConnectionReconciliation, ReconcileReport

DAY = date(2026, 11, 20)
SPAN = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))


@pytest.fixture
def shown(capsys):
    def show(*lines, differences=(), **changes):
        found = ConnectionReconciliation(
            "r1", "c1", "Juniper Goods", "n1", *SPAN, SPAN[1], None, list(lines), list(differences)
        )
        for name, value in changes.items():
            setattr(found, name, value)
        print_reconciliation(ReconcileReport([found]))
        return capsys.readouterr().out

    return show


def line(clover=1250, stored=1250, unexplained=0, records=0, reasons=None):
    return Line(DAY, "charges", "USD", 2, clover, 2, stored, 0, unexplained, records, reasons or {})


def test_agreement_is_said_and_sums_are_exact(shown):
    out = shown(line(), line(clover=1, stored=1, reasons={"held_back": 2}))
    assert "12.51" in out
    assert "agrees to the minor unit. Explained: held_back 2." in out


def test_an_unexplained_cent_is_named_with_its_day_record_and_what_to_do(shown):
    record = Difference("charges", "charge", "CH1", DAY, "USD", 1, Reason.MISSING)
    out = shown(line(clover=1251, unexplained=1, records=1, reasons={"missing": 1}), differences=[record])
    assert "does not agree" in out
    assert "2026-11-20 charges: 0.01 USD in 1 record(s)" in out
    assert "charges CH1: 0.01 USD, missing" in out
    assert "connector resync" in out


def test_a_clover_that_could_not_be_read_is_no_agreement(shown):
    out = shown(error="Clover refuses the token.", hint="Make a new one.", exit_code=1)
    assert "Clover refuses the token." in out
    assert "agrees" not in out
