"""Talks SQL: versions of orders in DuckDB, publishing, views, and the control database."""
