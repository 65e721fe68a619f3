"""Talks SQL: versions of orders in DuckDB, publishing, views, and the control database."""

from connector.store.batch import Applied, Batch, ConnectionRow, NdjsonWriter, RunRow
from connector.store.interface import Reader, Store, open_store

__all__ = ["Applied", "Batch", "ConnectionRow", "NdjsonWriter", "Reader", "RunRow", "Store", "open_store"]
