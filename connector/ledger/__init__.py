"""What was learned of every merchant, when, in DuckDB: one process writes it, all read published copies."""

from connector.ledger.interface import PublishTo, Reader, Store, open_store
from connector.ledger.load.batch import Applied, Batch, ConnectionRow, NdjsonWriter, RunRow

__all__ = [
    "Applied",
    "Batch",
    "ConnectionRow",
    "NdjsonWriter",
    "PublishTo",
    "Reader",
    "RunRow",
    "Store",
    "open_store",
]
