"""Views as files: one directory a view, Parquet or CSV, with a manifest that says what is in them.

    DIR/manifest.json
    DIR/orders/orders.parquet
    DIR/payments/payments.parquet     spark.read.parquet("DIR/payments"), pl.read_parquet("DIR/payments/*.parquet")

All files show one snapshot. The manifest is removed first and written last, so a directory without one is
unfinished; the next export into it clears it up. Sums in it are by column and currency, exact, as text: they
can be checked against the files.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

from connector.errors import ConfigError
from connector.store import Reader

MANIFEST = "manifest.json"
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


def export(
    reader: Reader, directory: Path, wanted: Wanted, *, on_view: Callable[[str], None] = lambda _view: None
) -> list[Exported]:
    """Write the files and the manifest; what an earlier export left in ``directory`` is replaced.

    Raises ConfigError for an unknown view or snapshot, and for a directory that holds something else.
    """
    connection = reader.connection
    columns = _columns(connection)
    chosen = _chosen(columns, wanted)
    if wanted.since_snapshot is not None:
        reader.as_of(wanted.since_snapshot)
    _prepare(directory)
    unfinished = directory / f".{MANIFEST}"
    unfinished.write_text(json.dumps({"views": [{"view": view} for view in chosen]}), encoding="utf-8")
    done = []
    for view in chosen:
        on_view(view)
        done.append(_write(connection, directory, view, columns[view], wanted))
    manifest = {
        "snapshot_id": reader.snapshot_id,
        "since_snapshot": wanted.since_snapshot,
        "company_id": wanted.company_id,
        "format": wanted.format,
        "views": [
            {"view": e.view, "file": e.file, "rows": e.rows, "columns": dict(e.columns), "sums": e.sums}
            for e in done
        ],
    }
    unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(directory / MANIFEST)
    return done


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for view, name, kind in connection.execute(
        "SELECT c.table_name, c.column_name, c.data_type FROM duckdb_columns() c"
        " WHERE c.schema_name = 'main' AND c.database_name = current_database() AND NOT c.internal"
        " ORDER BY c.table_oid, c.column_index"
    ).fetchall():
        found.setdefault(view, {})[name] = kind
    return found


def _chosen(columns: Mapping[str, Mapping[str, str]], wanted: Wanted) -> list[str]:
    unknown = [view for view in wanted.views if view not in columns]
    if unknown:
        raise ConfigError(
            f"There is no view {', '.join(unknown)}.", hint=f"There are: {', '.join(sorted(columns))}"
        )
    chosen = [view for view in columns if not wanted.views or view in wanted.views]
    if wanted.since_snapshot is not None:
        dateless = [view for view in chosen if "snapshot_id" not in columns[view]]
        if wanted.views and dateless:
            raise ConfigError(
                f"{', '.join(dateless)}: its rows belong to no snapshot; export it whole.",
                hint="--since-snapshot works for orders, order_line_items, payments and their like.",
            )
        chosen = [view for view in chosen if view not in dateless]
    return chosen


def _prepare(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{directory} is a file.", hint="Name a directory.")
    earlier = [path for path in (directory / MANIFEST, directory / f".{MANIFEST}") if path.exists()]
    if directory.is_dir() and any(directory.iterdir()) and not earlier:
        raise ConfigError(
            f"{directory} holds something that no export put there; nothing was touched.",
            hint="Name an empty or new directory.",
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # the files name customers
    for manifest in earlier:
        before = json.loads(manifest.read_text(encoding="utf-8"))
        for entry in before["views"]:
            shutil.rmtree(directory / Path(entry["view"]).name, ignore_errors=True)
        manifest.unlink()


def _write(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    view: str,
    columns: Mapping[str, str],
    wanted: Wanted,
) -> Exported:
    conditions: list[str] = []
    if wanted.company_id is not None and "company_id" in columns:
        conditions.append(f"company_id = {_text(wanted.company_id)}")
    if wanted.since_snapshot is not None:
        conditions.append(f"snapshot_id > {int(wanted.since_snapshot)}")
    source = f'main."{view}"' + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
    target = directory / view / f"{view}.{wanted.format}"
    target.parent.mkdir()
    if wanted.format == "parquet":
        rows = _copy(connection, f"SELECT * FROM {source}", target, "FORMAT parquet, COMPRESSION zstd")  # noqa: S608
    else:
        selected = ", ".join(
            _for_spreadsheets(name, kind) if wanted.excel else f'"{name}"' for name, kind in columns.items()
        )
        rows = _copy(connection, f"SELECT {selected} FROM {source}", target, "FORMAT csv, HEADER")  # noqa: S608
        if wanted.excel:
            _mark(target)
    return Exported(
        view=view,
        file=str(target.relative_to(directory)),
        rows=rows,
        columns=columns,
        sums=_sums(connection, source, columns),
    )


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
