"""Values as text: exact money, UTC times, JSON that keeps every digit, tables for people."""

import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Unpack

import click
import msgspec
from pydantic.alias_generators import to_camel
from rich.console import Console

from connector.cli.terminal.grid import Grid, Layout
from schemas.wire import encode, number_text, ready


def fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as the JSON of every command spells them: camelCase."""
    return {to_camel(name): member for name, member in asdict(value).items()}


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """One JSON document. Decimals are numbers with all their digits, points in time end in Z. indent None: one line."""
    return msgspec.json.format(encode(_json(value)), indent=indent or 0).decode()


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _json(member) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(member) for member in value]
    if isinstance(value, Decimal):
        return ready(number_text(value)) if value.is_finite() else None
    if isinstance(value, float):
        return ready(repr(value)) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return plain(value)


def plain(value: Any) -> str:
    """A value as the shortest text that loses nothing: ``12.5``, ``2026-11-20T04:00:00Z``, empty for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, datetime):
        # A time without a zone may be the wall's in New York: it gets no Z.
        return (
            value.isoformat()
            if value.tzinfo is None
            else value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        )
    if isinstance(value, date | Path):
        return str(value)
    if isinstance(value, timedelta):
        return plain(Decimal(str(value.total_seconds())))
    if isinstance(value, Mapping | list | tuple):
        return json_text(value, indent=None)
    return str(value)


def bytes_text(size: float) -> str:
    """A size in bytes as people read it: ``12.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024 or unit == "GiB":
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def console(stream: IO[str] | None = None) -> Console:
    """Where people read. COLUMNS says how wide it is; else the terminal; else wide enough for most tables."""
    out = stream or sys.stdout
    is_told = out.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(file=out, width=None if is_told else 160, highlight=False, soft_wrap=not out.isatty())


def table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[str]], **layout: Unpack[Layout]
) -> Grid:
    """A table that fits where it is printed; how it gives way: ``Grid``."""
    return Grid(title, tuple(columns), [*map(tuple, rows)], **layout)


def say(text: str, *, indent: str = "") -> None:
    """A sentence, folded between words where somebody reads; later lines of a paragraph stand further in.

    Commands to type are not for this: ``say_next``.
    """
    later = indent or "  "
    click.echo(
        textwrap.fill(
            text,
            _reading_width(),
            initial_indent=indent,
            subsequent_indent=later,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def say_next(*steps: str) -> None:
    """What to do next, in one line where it fits; a command that does not is continued with ``\\``, to be copied."""
    width = _reading_width()
    whole = f"  Next: {' Then: '.join(steps)}"
    if len(whole) <= width:
        click.echo(whole)
        return
    for number, step in enumerate(steps):
        lead = "  Next: " if number == 0 else "  Then: "
        if "connector" in step.partition(" ")[0]:
            click.echo(command_text(lead + step))
        else:
            say(lead.strip() + " " + step, indent="  ")


def command_text(line: str) -> str:
    """A line that ends with a command, continued with a backslash before options where it would be too long."""
    width, lines = _reading_width(), [""]
    for part in re.split(r" (?=--|query )", line):
        if lines[-1] and len(f"{lines[-1]} {part} \\") > width and len(line) > width:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}" if lines[-1] else part
    return " \\\n".join(lines)


def _reading_width() -> int:
    """Cells of the line where somebody reads; as good as endless in a pipe."""
    is_told = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return console().width if is_told else 1_000_000


def program() -> str:
    """How to call this program again from here: ``connector``, or the path it was called by."""
    called = Path(sys.argv[0])
    if called.name != "connector":
        return "connector"
    found = shutil.which("connector")
    if found and called.exists() and called.samefile(found):
        return "connector"
    return str(called) if not called.is_absolute() else os.path.relpath(called)
