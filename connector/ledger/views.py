"""The analysts' views: defined in ``views/*.sql``, with the meaning of every column written above the SQL.

A file holds definitions one after the other. Each begins with comment lines:

    -- view daily_sales: what one row is; may go on
    --   in lines that begin like this one
    -- grain: company_id, day, currency
    -- references connections: connection_id
    -- values status: Paid, Failed
    -- column orders: what it means, in which unit, with which sign

and is followed by its ``CREATE``. ``references`` names the view of which these columns are the grain, where none of
them is NULL; ``values`` lists all that a column holds beside NULL. ``-- like: order_line_items`` takes over what is
explained there.
``{major_units(amount, currency)}`` stands for the SQL that makes minor units major, by the decimals of
``schemas.money``. SQL that several definitions share is a part, written once:

    -- part sales_by(period, versions): what it gives

``{sales_by(day; replaced_by IS NULL)}`` stands for its SQL, with ``<period>`` and ``<versions>`` filled in. Parts are
put in when the view is made because a table macro cannot call a macro of its own file once that file is attached under
another name. A view can, and calls ``ledger.discount_of`` for what DuckDB would write down in words that other parsers
of SQL do not read (a lambda in brackets). A column that means the same everywhere is explained once, in
``views/columns.txt`` (``name: meaning``). A table macro begins with ``-- macro``. All of it becomes COMMENTs in the
database.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb

from schemas.money import PLACES

DIRECTORY = Path(__file__).parent / "views"
_HEADER = re.compile(
    r"^-- (view|macro|part|grain|like|references|values|column)\s*([a-z_0-9]*)(?:\(([a-z_, ]*)\))?\s*: *(.*)$"
)


_DISCOUNT_OF = """
CREATE OR REPLACE MACRO ledger.discount_of(allocations) AS
  coalesce(list_sum([share.total_amount FOR share IN allocations]), 0)::DECIMAL(18,4)
"""
_MAJOR_UNITS = re.compile(r"\{major_units\((\w+), (\w+)\)\}")
_CALL = re.compile(r"\{(\w+)\(([^{}]*)\)\}")


@dataclass(slots=True)
class Definition:
    """One view or table macro, or a part of several. columns: those explained beside the SQL. grain: those that tell
    rows apart. references: view -> columns that are its grain. values: column -> all it holds. takes: what is filled
    into a part.
    """

    name: str
    is_macro: bool
    meaning: str
    grain: tuple[str, ...] = ()
    references: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    sql: str = ""
    takes: tuple[str, ...] | None = None
    like: str = ""


@cache
def definitions() -> tuple[Definition, ...]:
    """Every view and macro, in the order they are created."""
    parts: dict[str, Definition] = {}
    found: list[Definition] = []
    for file in sorted(DIRECTORY.glob("*.sql")):
        for definition in parse(_MAJOR_UNITS.sub(_major_units, file.read_text("utf-8"))):
            while _CALL.search(definition.sql):
                definition.sql = _CALL.sub(lambda call: _filled(parts, call), definition.sql)
            if definition.takes is None:
                alike = (other.columns for other in found if other.name == definition.like)
                definition.columns = {**next(alike, {}), **definition.columns}
                found.append(definition)
            else:
                parts[definition.name] = definition
    return tuple(found)


def _filled(parts: Mapping[str, Definition], call: re.Match[str]) -> str:
    part = parts[call[1]]
    given = [value.strip() for value in call[2].split(";")] if part.takes else []
    text = part.sql.strip()
    for name, value in zip(part.takes or (), given, strict=True):
        text = text.replace(f"<{name}>", value)
    return text


@cache
def common_columns() -> dict[str, str]:
    """Meanings of the columns that many views share."""
    lines = (DIRECTORY / "columns.txt").read_text("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def grains() -> dict[str, tuple[str, ...]]:
    """View -> the columns that tell its rows apart; never NULL in any row."""
    return {d.name: d.grain for d in definitions() if not d.is_macro}


def parse(text: str) -> Iterator[Definition]:
    """The definitions of one file."""
    current: Definition | None = None
    last = ""
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header and header[1] in ("view", "macro", "part"):
            if current:
                yield current
            current, last = Definition(header[2], header[1] == "macro", header[4].strip()), "meaning"
            if header[1] == "part":
                current.takes = tuple(name.strip() for name in (header[3] or "").split(",") if name.strip())
        elif current is None:
            continue
        elif header:
            last = _note_header(current, header[1], header[2], header[4].strip())
        elif line.startswith("--   ") and last:
            more = " " + line.removeprefix("--").strip()
            if last == "meaning":
                current.meaning += more
            else:
                current.columns[last] += more
        else:
            current.sql += line + "\n"
            last = ""
    if current:
        yield current


def _note_header(current: Definition, what: str, name: str, text: str) -> str:
    """Note one header of a view; the column that the lines below it may go on to explain, "" for none."""
    if what == "column":
        current.columns[name] = text
        return name
    if what == "grain":
        current.grain = _listed(text)
    elif what == "like":
        current.like = text
    else:
        (current.references if what == "references" else current.values)[name] = _listed(text)
    return ""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _major_units(call: re.Match[str]) -> str:
    amount, currency = call.groups()
    cases = (
        f"WHEN {currency} IN ({', '.join(repr(code) for code in codes.split())}) THEN {_scaled(amount, places)}"
        for places, codes in PLACES.items()
    )
    return f"(CASE {' '.join(cases)} ELSE {_scaled(amount, 2)} END)"


def _scaled(amount: str, places: int) -> str:
    # A factor with as many decimals keeps the product exact; division would make a double of it.
    return f"{amount} * {10**-places:.{places}f}::DECIMAL({places + 1},{places})"


def fingerprint() -> str:
    """Changes whenever any definition or comment does."""
    whole = hashlib.sha256(repr((common_columns(), _DISCOUNT_OF)).encode())
    for definition in definitions():
        whole.update(repr(definition).encode())
    return whole.hexdigest()


def define_views(connection: duckdb.DuckDBPyConnection) -> bool:
    """Make the default catalog's views those of this version; whether any changed. One transaction."""
    wanted = fingerprint()
    if connection.execute("SELECT fingerprint FROM ledger.view_definitions").fetchall() == [(wanted,)]:
        return False
    connection.execute("BEGIN")
    try:
        _drop_all(connection)
        connection.execute(_DISCOUNT_OF)
        for definition in definitions():
            connection.execute(definition.sql)
            _comment(connection, definition)
        connection.execute("DELETE FROM ledger.view_grains")
        for name, grain in grains().items():
            connection.execute("INSERT INTO ledger.view_grains VALUES (?, ?)", [name, list(grain)])
        connection.execute("DELETE FROM ledger.view_definitions")
        connection.execute("INSERT INTO ledger.view_definitions VALUES (?)", [wanted])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return True


def _drop_all(connection: duckdb.DuckDBPyConnection) -> None:
    views = connection.execute(
        "SELECT view_name FROM duckdb_views()"
        " WHERE NOT internal AND schema_name = 'main' AND database_name = current_database()"
    ).fetchall()
    macros = connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions()"
        " WHERE NOT internal AND function_type = 'table_macro' AND database_name = current_database()"
    ).fetchall()
    for (name,) in views:
        connection.execute(f'DROP VIEW main."{name}"')
    for (name,) in macros:
        connection.execute(f'DROP MACRO TABLE main."{name}"')


def _comment(connection: duckdb.DuckDBPyConnection, definition: Definition) -> None:
    kind = "MACRO TABLE" if definition.is_macro else "VIEW"
    meaning = definition.meaning
    if definition.grain:
        meaning += f" Grain: {', '.join(definition.grain)}."
    connection.execute(f"COMMENT ON {kind} main.{definition.name} IS {_text(meaning)}")
    if definition.is_macro:
        return
    names = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'main'"
        " AND database_name = current_database()",
        [definition.name],
    ).fetchall()
    meanings = common_columns() | definition.columns
    for (name,) in names:
        if name in meanings:
            connection.execute(
                f'COMMENT ON COLUMN main.{definition.name}."{name}" IS {_text(meanings[name])}'
            )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
