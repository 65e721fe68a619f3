"""Values as text: exact money, UTC times, JSON that keeps every digit, tables for people."""

import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """One JSON document. Decimals are numbers with all their digits, times end in Z."""
    return "".join(_json(value, indent, 0))


def _json(value: Any, indent: int | None, depth: int) -> Iterable[str]:
    if isinstance(value, Mapping):
        yield from _json_items(
            "{}",
            [(f"{json.dumps(str(k), ensure_ascii=False)}: ", v) for k, v in value.items()],
            indent,
            depth,
        )
    elif isinstance(value, list | tuple | set | frozenset):
        yield from _json_items("[]", [("", item) for item in value], indent, depth)
    elif isinstance(value, Decimal):
        yield plain(value) if value.is_finite() else "null"
    elif isinstance(value, float):
        yield json.dumps(value) if math.isfinite(value) else "null"
    elif value is None or isinstance(value, bool | int):
        yield json.dumps(value)
    else:
        yield json.dumps(plain(value), ensure_ascii=False)


def _json_items(brackets: str, items: list[tuple[str, Any]], indent: int | None, depth: int) -> Iterable[str]:
    if not items:
        yield brackets
        return
    line = "" if indent is None else "\n" + " " * (indent * (depth + 1))
    yield brackets[0]
    for number, (key, item) in enumerate(items):
        yield ("" if not number else "," if indent is not None else ", ") + line + key
        yield from _json(item, indent, depth + 1)
    yield ("" if indent is None else "\n" + " " * (indent * depth)) + brackets[1]


def plain(value: Any) -> str:
    """A value as the shortest text that loses nothing: ``12.5``, ``2026-11-20T04:00:00Z``, empty for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat() + "Z"
    if isinstance(value, date | Path):
        return str(value)
    if isinstance(value, timedelta):
        return plain(Decimal(str(value.total_seconds())))
    if isinstance(value, Mapping | list | tuple):
        return json_text(value, indent=None)
    return str(value)


def console(stream: IO[str] | None = None) -> Console:
    """Where people read. Wide enough for every column when nobody is watching the width."""
    out = stream or sys.stdout
    return Console(file=out, width=None if out.isatty() else 160, highlight=False, soft_wrap=not out.isatty())


def table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: frozenset[str] = frozenset(),
) -> Table:
    """A table; the columns named in ``numbers`` are set to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def program() -> str:
    """How to call this program again from here: ``connector``, or the path it was called by."""
    called = Path(sys.argv[0])
    if called.name != "connector":
        return "connector"
    found = shutil.which("connector")
    if found and called.exists() and called.samefile(found):
        return "connector"
    return str(called) if not called.is_absolute() else os.path.relpath(called)
