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
    merge: str | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """How a copy of a view is brought up to date.

    changed: SQL condition of the rows to take over, ``$since`` standing for the snapshot the copy is of.
    stale: SQL condition of the copy's rows that go first, ``$new`` standing for the rows taken over and ``$changes``
    for those of the view changes.
    """

    changed: str
    stale: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export. views: all when empty. since_snapshot: only what later snapshots changed, from views that can
    be mirrored so; see ``mirror``. excel: CSV with a byte order mark, and text that a spreadsheet would take for a
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


# Rows that are never altered, beside those that follow a corrected setting.
_GROWING = frozenset({"changes", "journal_as_booked", "order_changes", "snapshots"})
# Rows without a snapshot, few enough to be taken over whole.
_WHOLE = frozenset({"connections", "held_back", "open_issues", "reconciliations", "sync_runs"})
# The record views and what the change feed calls them.
_ENTITIES = {
    "customers": "customers", "products": "products", "locations": "locations", "payment_methods": "paymentMethods",
    "tax_components": "taxComponents", "company_info": "companyInfo",
}  # fmt: skip
_SPANS = (("snapshot_id", "replaced_by"), ("first_seen_snapshot", "resolved_snapshot"))


def mirror(view: str, columns: Mapping[str, str], grain: Sequence[str]) -> Mirror | None:
    """How a copy of a view is brought up to date from its rows since a snapshot; None where it is made whole.

    The change feed says what is gone: it comes with every export since a snapshot. Where a setting of a connection
    was corrected, all of the connection's rows are taken over, because their days may have moved.
    """
    if view in _WHOLE:
        return Mirror("true", "true")
    same = ", ".join(f'"{name}"' for name in grain)
    again = "SELECT {} FROM {} WHERE entity = 'connections'"
    corrected = (
        f" OR connection_id IN ({again.format('connection_id', 'main.changes')} AND snapshot_id > $since)"
    )
    gone = f" OR connection_id IN ({again.format('connection_id', '$changes')})"
    by_grain = f"({same}) IN (SELECT ({same}) FROM $new)"  # noqa: S608 - our own column names
    if view in _GROWING:
        return Mirror("snapshot_id > $since" + (corrected if "connection_id" in columns else ""), by_grain)
    for begin, end in _SPANS:
        if begin in columns and end in columns:
            return Mirror(f"{begin} > $since OR {end} > $since{corrected}", by_grain)
    entity, key = _ENTITIES.get(view), grain[-1] if grain else ""
    if entity is None and {"order_id", "snapshot_id"} <= columns.keys() and view != "source_records":
        entity, key = "orders", "order_id"
    if entity is None:
        return None
    if key == "connection_id":  # one row a connection
        named, of_changes = "connection_id", "connection_id"
    else:
        named, of_changes = f"(connection_id, {key})", "(connection_id, id)"
    changed = f"SELECT {of_changes} FROM {{}} WHERE entity = '{entity}'"  # noqa: S608
    return Mirror(
        f"{named} IN ({changed.format('main.changes')} AND snapshot_id > $since){corrected}",
        f"{named} IN ({changed.format('$changes')}){gone}",
    )


def mirror_in(connection: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str]) -> Mirror | None:
    """``mirror`` with the grain that the file says."""
    return mirror(view, columns, _grain(connection, view))


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
    way = None if wanted.since_snapshot is None else mirror_in(connection, view, columns)
    if way is not None:
        conditions.append(f"({way.changed.replace('$since', str(int(wanted.since_snapshot or 0)))})")
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
        merge=None
        if way is None
        else _merge(view, way, directory, wanted.format, columns_of_views(connection)),
    )


def _merge(
    view: str, way: Mirror, directory: Path, kind: Format, columns: Mapping[str, Mapping[str, str]]
) -> str:
    """The SQL that brings a table of the view's name up to date in DuckDB."""

    def rows(of: str) -> str:
        path = _text(str(directory / of / f"{of}.{kind}"))
        if kind == "parquet":
            return f"read_parquet({path})"
        types = ", ".join(f"{_text(name)}: {_text(type_)}" for name, type_ in columns[of].items())
        return f"read_csv({path}, header = true, columns = {{{types}}})"

    stale = way.stale.replace("$new", rows(view)).replace("$changes", rows("changes"))
    return f"DELETE FROM {view} WHERE {stale}; INSERT INTO {view} BY NAME SELECT * FROM {rows(view)};"  # noqa: S608


def _grain(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    row = connection.execute("SELECT grain FROM ledger.view_grains WHERE view_name = ?", [view]).fetchone()
    return list(row[0]) if row else []


def _in_order(connection: duckdb.DuckDBPyConnection, view: str) -> str:
    grain = _grain(connection, view)
    return " ORDER BY " + ", ".join(f'"{name}"' for name in grain) if grain else ""


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
