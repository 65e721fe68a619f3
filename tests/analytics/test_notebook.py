"""The underwriter's notebook runs from top to bottom, and its answers are right."""

import importlib.util
import os
from decimal import Decimal
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "underwriter.py"


@pytest.fixture
def answers(monkeypatch, request):
    """Run the notebook on a store and company: the values its cells defined, and what they show."""
    if importlib.util.find_spec("marimo") is None:
        if os.environ.get("CI"):
            pytest.fail("marimo is not installed: pip install -e '.[dev]'")
        pytest.skip("marimo is not installed: pip install -e '.[dev]'")

    def run(path, company=None):
        monkeypatch.setenv("COMMERCE_DUCKDB", str(path))
        if company:
            monkeypatch.setenv("COMPANY_ID", company)
        spec = importlib.util.spec_from_file_location("underwriter", NOTEBOOK)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        outputs, defined = module.app.run()
        return defined, [output for output in outputs if output is not None]

    return run


def test_it_answers_ten_questions_of_the_demo(answers, demo):
    defined, shown = answers(demo / "demo/data/commerce.duckdb")
    text = " ".join(output.text for output in shown)
    assert all(f">{number}. " in text for number in range(1, 11))
    assert "None %" not in text
    assert defined["trusted"]["unexplained"] == 0


def test_its_answers_are_those_of_the_hand_worked_books(answers, ledger_store, ledgers):
    """Lark: 65.00 + 100.00 + 98.00 + 50.00 + 20.00 = 333.00 sold, 20.00 of it back, and 195.00 recurs."""
    defined, _ = answers(ledger_store.directory / "commerce.duckdb", ledgers["lark"].company_id)
    assert sum(row["gross_sales"] for row in defined["sales"]) == Decimal("333.00")
    assert defined["refunds"] == {
        "percent_of_gross": Decimal("6.0"),  # 20.00 / 333.00
        "refunds": 1,
        "median_days": 27,  # 6 March to 2 April
        "longest_days": 27,
    }
    assert defined["steady"]["percent_of_net"] == Decimal("62.3")  # 195.00 / 313.00
    assert defined["swing"]["best"].month == 2
    assert defined["trusted"]["reconciled_percent"] == Decimal("100.0")
    assert defined["basket"]["by_type"] == {"OnlineCard": Decimal("100.0")}
    assert defined["returning"]["guest_orders_percent"] == Decimal("17.6")  # 3 of 17 orders
