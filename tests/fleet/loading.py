"""Loads of a company as a run makes them, with the rows of the ledger's own tests."""

import importlib.util
import sys
from pathlib import Path

_FILE = Path(__file__).parents[1] / "ledger" / "conftest.py"
_spec = importlib.util.spec_from_file_location("ledger_rows", _FILE)
assert _spec is not None
assert _spec.loader is not None
ledger_rows = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("ledger_rows", ledger_rows)
_spec.loader.exec_module(ledger_rows)

COMPANY, CONNECTION = ledger_rows.COMPANY, ledger_rows.CONNECTION


class Loads:
    """Batches, each an hour after the one before."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._books = ledger_rows.Books(directory)

    def of(self, *order_ids: str, **changed):
        """A batch that holds these orders."""
        return self._books.batch(order_versions=[ledger_rows.order_row(one, **changed) for one in order_ids])
