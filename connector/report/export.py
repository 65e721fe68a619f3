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
from collections.abc import Callable, Mapping
from pathlib import Path

from connector.errors import ConfigError
from connector.ledger import Reader
from connector.ledger.view_files import (
    Exported,
    Format,
    Wanted,
    _for_spreadsheets,  # noqa: F401 - known here by its test
    columns_of_views,
    write_view,
)

MANIFEST = "manifest.json"


def export(
    reader: Reader, directory: Path, wanted: Wanted, *, on_view: Callable[[str], None] = lambda _view: None
) -> list[Exported]:
    """Write the files and the manifest; what an earlier export left in ``directory`` is replaced.

    Raises ConfigError for an unknown view or snapshot, and for a directory that holds something else.
    """
    connection = reader.connection
    columns = columns_of_views(connection)
    chosen = _chosen(columns, wanted)
    if wanted.since_snapshot is not None:
        reader.as_of(wanted.since_snapshot)
    _prepare(directory)
    unfinished = directory / f".{MANIFEST}"
    unfinished.write_text(json.dumps({"views": [{"view": view} for view in chosen]}), encoding="utf-8")
    done = []
    for view in chosen:
        on_view(view)
        done.append(write_view(connection, directory, view, columns[view], wanted))
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


__all__ = ["MANIFEST", "Exported", "Format", "Wanted", "export"]
