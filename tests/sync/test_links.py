"""Every cent has one home: links that are missing, late, moved or contradicted, told step by step."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from told_clover import AT, ToldClover, told_bench

CASES = {
    file.stem: file for file in sorted((Path(__file__).parents[1] / "fixtures" / "links").glob("*.yaml"))
}
SAID = ("orders", "charges", "refunds", "by_id", "listed_at", "platform", "unlisted")


@pytest.mark.parametrize("name", CASES)
def test_case(tmp_path, name):
    case = yaml.safe_load(CASES[name].read_text(encoding="utf-8"))
    clover = ToldClover()
    bench = told_bench(tmp_path, clover, **case.get("config", {}))
    for number, step in enumerate(case["steps"]):
        clover.tell(**{said: step[said] for said in SAID if said in step})
        report = bench.sync(at=AT + timedelta(hours=number), full=step.get("full", False))
        assert report.status != "failed", report.error
        assert told_by(bench) == expected(step["expected"]), f"step {number}"
    before = bench.orders()
    bench.sync(kind="rebuild")
    assert bench.orders() == before, "a rebuild changes nothing"


def told_by(bench):
    """What is published, held back and flagged, in the words of the fixtures."""
    orders = {}
    for order_id, total, refund, tax, tip, created in bench.rows(
        "SELECT order_id, total_amount, total_refund, total_tax_amount, total_gratuity, created_date::DATE FROM orders"
    ):
        orders[order_id] = {"total": total, "refund": refund, "tax": tax, "tip": tip, "created": str(created)}
        orders[order_id]["payments"] = dict(
            bench.rows(
                "SELECT payment_id, amount FROM payments WHERE order_id = ? AND status = 'Paid' ORDER BY 1",
                order_id,
            )
        )
    held = dict(bench.rows("SELECT record_id, reason FROM ledger.held_back WHERE resolved_run IS NULL"))
    issues = sorted(
        " ".join(str(part) for part in row if part not in (None, "(none)"))
        for row in bench.rows(
            "SELECT order_id, code, difference_minor FROM data_issues WHERE resolved_snapshot IS NULL"
            " AND severity <> 'info'"
        )
    )
    return Told(orders, held, issues)


class Told:
    """Compares what the fixture names and nothing else of an order; held back and issues as a whole."""

    def __init__(self, orders, held, issues):
        self.orders, self.held, self.issues = orders, held, issues

    def __eq__(self, other):
        return (
            self.orders.keys() == other.orders.keys()
            and all(
                self.orders[order][name] == value
                for order, members in other.orders.items()
                for name, value in members.items()
            )
            and (self.held, self.issues) == (other.held, other.issues)
        )

    __hash__ = None

    def __repr__(self):
        return f"{self.orders} {self.held} {self.issues}"


def expected(told):
    orders = {
        order: {name: _decimal(value) for name, value in members.items()}
        for order, members in told["orders"].items()
    }
    return Told(orders, told.get("held_back", {}), sorted(told.get("issues", [])))


def _decimal(value):
    if isinstance(value, dict):
        return {name: Decimal(str(amount)) for name, amount in value.items()}
    return value if isinstance(value, str) else Decimal(str(value))
