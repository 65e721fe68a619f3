"""One view as one file, Parquet or CSV, with its rows and sums: what ``connector export`` and the API hand out."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

Format = Literal["parquet", "csv"]
# DECIMAL columns that are no amounts: adding them up means nothing.
_NO_AMOUNT = frozenset({"unit_price", "tax_percentage", "rate", "reconciled_share"})


@dataclass(frozen=True, slots=True)
class Exported:
    """One view as a file. sums: column -> currency -> exact sum as text; only for views with a currency."""

    view: str
    file: str
    rows: int
    columns: Mapping[str, str]
    sums: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export. views: all when empty. since_snapshot: only rows of later snapshots, from views that say
    which snapshot a row is of. excel: CSV with a byte order mark, and text that a spreadsheet would take for a
    formula made harmless by an apostrophe.
    """

    format: Format
    views: tuple[str, ...] = ()
    company_id: str | None = None
    since_snapshot: int | None = None
    excel: bool = False


def columns_of_views(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """View -> its columns and their types, both in the order they are defined."""
    found: dict[str, dict[str, str]] = {}
    for view, name, kind in connection.execute(
        "SELECT c.table_name, c.column_name, c.data_type FROM duckdb_columns() c"
        " WHERE c.schema_name = 'main' AND c.database_name = current_database() AND NOT c.internal"
        " ORDER BY c.table_oid, c.column_index"
    ).fetchall():
        found.setdefault(view, {})[name] = kind
    return found


def write_view(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    view: str,
    columns: Mapping[str, str],
    wanted: Wanted,
) -> Exported:
    """Write one view below ``directory``, in a directory of its own; the same state gives the same bytes."""
    conditions: list[str] = []
    if wanted.company_id is not None and "company_id" in columns:
        conditions.append(f"company_id = {_text(wanted.company_id)}")
    if wanted.since_snapshot is not None:
        conditions.append(f"snapshot_id > {int(wanted.since_snapshot)}")
    source = f'main."{view}"' + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
    ordered = source + _in_order(connection, view)
    target = directory / view / f"{view}.{wanted.format}"
    target.parent.mkdir()
    if wanted.format == "parquet":
        rows = _copy(connection, f"SELECT * FROM {ordered}", target, "FORMAT parquet, COMPRESSION zstd")  # noqa: S608
    else:
        selected = ", ".join(
            _for_spreadsheets(name, kind) if wanted.excel else f'"{name}"' for name, kind in columns.items()
        )
        rows = _copy(connection, f"SELECT {selected} FROM {ordered}", target, "FORMAT csv, HEADER")  # noqa: S608
        if wanted.excel:
            _mark(target)
    return Exported(
        view=view,
        file=str(target.relative_to(directory)),
        rows=rows,
        columns=columns,
        sums=_sums(connection, source, columns),
    )


def _in_order(connection: duckdb.DuckDBPyConnection, view: str) -> str:
    row = connection.execute("SELECT grain FROM ledger.view_grains WHERE view_name = ?", [view]).fetchone()
    return " ORDER BY " + ", ".join(f'"{name}"' for name in row[0]) if row else ""


def _copy(connection: duckdb.DuckDBPyConnection, select: str, target: Path, options: str) -> int:
    row = connection.execute(f"COPY ({select}) TO {_text(str(target))} ({options})").fetchone()
    return int(row[0]) if row else 0


def _for_spreadsheets(name: str, kind: str) -> str:
    """A name that begins with = would be run as a formula by a spreadsheet."""
    if kind != "VARCHAR":
        return f'"{name}"'
    is_formula = f"""regexp_matches("{name}", '^[=+@\\t\\r-]')"""
    return f"""CASE WHEN {is_formula} THEN '''' || "{name}" ELSE "{name}" END AS "{name}\""""


def _mark(target: Path) -> None:
    """Put the byte order mark in front by which Excel knows UTF-8."""
    plain = target.with_suffix(".plain")
    target.rename(plain)
    with plain.open("rb") as source, target.open("wb") as marked:
        marked.write("\ufeff".encode())
        shutil.copyfileobj(source, marked)
    plain.unlink()


def _sums(
    connection: duckdb.DuckDBPyConnection, source: str, columns: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    amounts = [n for n, kind in columns.items() if kind.startswith("DECIMAL") and n not in _NO_AMOUNT]
    if "currency" not in columns or not amounts:
        return {}
    added = ", ".join(f'coalesce(sum("{name}"), 0)::VARCHAR' for name in amounts)
    by_currency: Sequence[tuple[str, ...]] = connection.execute(
        f"SELECT coalesce(currency, 'XXX'), {added} FROM {source} GROUP BY 1 ORDER BY 1"  # noqa: S608
    ).fetchall()
    return {name: {row[0]: row[place] for row in by_currency} for place, name in enumerate(amounts, start=1)}


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
