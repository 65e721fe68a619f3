"""Views as files: one directory a view, Parquet or CSV, with a manifest that says what is in them.

    DIR/manifest.json
    DIR/orders/orders.parquet
    DIR/payments/payments.parquet     spark.read.parquet("DIR/payments"), pl.read_parquet("DIR/payments/*.parquet")

All files show one snapshot. The manifest is removed first and written last, so a directory without one is
unfinished; the next export into it clears it up. One since a snapshot has, for each view, the SQL that brings a
table of its name up to date (``merge``): it mirrors the view exactly, deletions, healed issues and history
included. Sums in it are by column and currency, exact, as text: they
can be checked against the files.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connector.errors import ConfigError
from connector.ledger import Reader
from connector.ledger.view_files import (
    Exported,
    Format,
    Wanted,
    _for_spreadsheets,  # noqa: F401 - known here by its test
    columns_of_views,
    mirror_in,
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
    chosen = _chosen(reader, columns, wanted)
    if wanted.since_snapshot is not None:
        reader.as_of(wanted.since_snapshot)
    unfinished = prepare(directory, chosen)
    done = []
    for view in chosen:
        on_view(view)
        done.append(write_view(connection, directory, view, columns[view], wanted))
    manifest = {
        "snapshot_id": reader.snapshot_id,
        "epoch": reader.epoch,
        "since_snapshot": wanted.since_snapshot,
        "company_id": wanted.company_id,
        "format": wanted.format,
        "views": [
            {
                "view": e.view,
                "file": e.file,
                "rows": e.rows,
                "columns": dict(e.columns),
                "sums": e.sums,
                **({} if e.merge is None else {"merge": e.merge}),
            }
            for e in done
        ],
    }
    unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(directory / MANIFEST)
    return done


def _chosen(reader: Reader, columns: Mapping[str, Mapping[str, str]], wanted: Wanted) -> list[str]:
    unknown = [view for view in wanted.views if view not in columns]
    if unknown:
        raise ConfigError(
            f"There is no view {', '.join(unknown)}.", hint=f"There are: {', '.join(sorted(columns))}"
        )
    if wanted.since_snapshot is None:
        return [view for view in columns if not wanted.views or view in wanted.views]
    whole = {view for view in columns if mirror_in(reader.connection, view, columns[view]) is None}
    if wanted.views and (asked := [view for view in wanted.views if view in whole]):
        raise ConfigError(
            f"{', '.join(asked)}: its rows belong to no snapshot; export it whole.",
            hint="--since-snapshot works for orders, order_line_items, payments and their like.",
        )
    # What is gone is in the change feed alone, so it comes with the others.
    return [
        view
        for view in columns
        if view not in whole and (not wanted.views or view in wanted.views or view == "changes")
    ]


def prepare(directory: Path, views: Sequence[str]) -> Path:
    """Make room for the files of views; the unfinished manifest, by which a later export clears them up.

    Raises ConfigError for a directory that holds something that no export put there.
    """
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
    unfinished = directory / f".{MANIFEST}"
    unfinished.write_text(json.dumps({"views": [{"view": view} for view in views]}), encoding="utf-8")
    return unfinished


__all__ = ["MANIFEST", "Exported", "Format", "Wanted", "export"]
