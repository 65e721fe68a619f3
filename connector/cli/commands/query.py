"""``connector query``: SQL on the published file, for people and for pipes."""

import csv
import itertools
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import published_of
from connector.cli.selection import selected
from connector.cli.terminal.output import console, json_text, plain, table
from connector.cli.terminal.stopping import stopping
from connector.errors import ConfigError
from schemas.money import money

if TYPE_CHECKING:
    import duckdb
    import duckdb.sqltypes

TABLE_ROWS = 1000
"""A table on a screen ends here; --csv and --json give every row."""

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = frozenset((*_WHOLE, *(f"U{name}" for name in _WHOLE), "FLOAT", "DOUBLE"))
_NO_MONEY = re.compile("quantity|percent|rate|share|retention")


@click.command()
@click.argument("sql")
@click.option("--company", metavar="ID", help="Whose file is asked, by id or name; needed in a fleet alone.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header line.")
@json_option
@pass_invocation
def query(invocation: Invocation, company: str | None, sql: str, as_csv: bool, as_json: bool) -> None:
    """Run one read-only SQL statement on the published DuckDB file.

    Money is exact; a time that ends in Z is UTC, one without stands as the statement made it (the views' are UTC).
    `-` reads the statement from standard input. Nothing can be changed, and no
    other file read or written. No Clover token is needed.

    \b
    Examples:
      connector query "SELECT * FROM monthly_sales"
      connector query "SHOW TABLES"
      connector query "DESCRIBE orders"
      connector query --csv "SELECT order_id, total_amount FROM orders" > orders.csv
      connector query --json "SELECT code, count(*) AS n FROM data_issues GROUP BY code"

    \b
    Exit codes: 0 done, 1 nothing published yet, 2 the SQL or the config is wrong
    """
    if as_csv and as_json:
        raise click.UsageError("Choose --csv or --json.")
    import duckdb

    from connector.ledger.database import damage_in

    statement = sys.stdin.read() if sql == "-" else sql
    config = invocation.config(secrets_may_be_missing=True)
    company_id, _ = selected(config, company, None)
    with (
        published_of(invocation, config, company_id) as connection,
        stopping(invocation.interruption, connection.interrupt),
    ):
        try:
            parsed = connection.extract_statements(statement)
            if len(parsed) != 1:
                raise ConfigError(
                    f"That is {len(parsed)} statements; one is expected.", hint="Send them one by one."
                )
            result = connection.execute(parsed[0])
            described = result.description or []
            columns, types = _unique([str(column[0]) for column in described]), [one[1] for one in described]
            rows = _rows(connection, parsed[0].query, types)
            if as_csv:
                _print_csv(columns, rows)
            elif as_json:
                click.echo(json_text([dict(zip(columns, row, strict=True)) for row in rows]))
            else:
                _print_table(columns, types, rows)
        except duckdb.Error as error:
            if invocation.interruption.number is not None or damage_in(error) is not None:
                raise
            message, hint = _explained(error, connection)
            raise ConfigError(message, hint=hint) from None


def _rows(
    connection: "duckdb.DuckDBPyConnection", statement: str, types: "list[duckdb.sqltypes.DuckDBPyType]"
) -> Iterator[tuple[Any, ...]]:
    """The rows of what was executed last. Points in time are aware, times without a zone stay without.

    DuckDB gives points in time only to a Python that has pytz, so they are asked for as UTC without a zone.
    """
    zoned = [number for number, kind in enumerate(types) if _without_zone(kind) != str(kind)]
    if zoned:
        names = [f"c{number}" for number in range(len(types))]
        asked = ", ".join(
            f"CAST({name} AS {_without_zone(kind)})" if number in zoned else name
            for number, (name, kind) in enumerate(zip(names, types, strict=True))
        )
        inner = statement.strip().removesuffix(";")
        # The line end closes a comment at the end of the statement.
        connection.execute(f"SELECT {asked} FROM ({inner}\n) AS t({', '.join(names)})")  # noqa: S608
    while rows := connection.fetchmany(5000):
        if not zoned:
            yield from rows
        for row in rows if zoned else ():
            yield tuple(
                _in_utc(value, types[number]) if number in zoned else value
                for number, value in enumerate(row)
            )


def _without_zone(kind: "duckdb.sqltypes.DuckDBPyType") -> str:
    """The type as SQL, with every point in time in it as a time without a zone; quoted names stay as they are."""
    quoted_or_zoned = r""" "(?:[^"]|"")*" | '(?:[^']|'')*' | \bTIMESTAMP\ WITH\ TIME\ ZONE\b """
    return re.sub(
        quoted_or_zoned,
        lambda found: found[0] if found[0][0] in "\"'" else "TIMESTAMP",
        str(kind),
        flags=re.VERBOSE,
    )


def _in_utc(value: Any, kind: "duckdb.sqltypes.DuckDBPyType") -> Any:
    """A value of ``kind`` that was read without zones, with the zone back where the type has one."""
    if value is None or _without_zone(kind) == str(kind):
        return value
    inside: Any = kind.children if kind.id != "timestamp with time zone" else []
    match kind.id:
        case "timestamp with time zone":
            return value.replace(tzinfo=UTC)
        case "list" | "array":
            return [_in_utc(member, inside[0][1]) for member in value]
        case "struct":
            kinds = dict(inside)
            return {name: _in_utc(member, kinds[name]) for name, member in value.items()}
        case "map":
            (_, keys), (_, values) = inside
            return {_in_utc(name, keys): _in_utc(member, values) for name, member in value.items()}
        case _:  # a union: the value does not say which member it is; only one kind of it is a datetime
            is_zoned = not any(str(child) == "TIMESTAMP" for _, child in inside)
            return value.replace(tzinfo=UTC) if isinstance(value, datetime) and is_zoned else value


def _unique(columns: list[str]) -> list[str]:
    """Column names as keys: the second ``id`` becomes ``id_2``."""
    seen: dict[str, int] = {}
    unique = []
    for column in columns:
        seen[column] = seen.get(column, 0) + 1
        unique.append(column if seen[column] == 1 else f"{column}_{seen[column]}")
    return unique


def _print_csv(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([plain(value) for value in row])


def _print_table(
    columns: list[str], types: "list[duckdb.sqltypes.DuckDBPyType]", rows: Iterator[tuple[Any, ...]]
) -> None:
    kept = list(itertools.islice(rows, TABLE_ROWS + 1))
    more, kept = len(kept) > TABLE_ROWS, kept[:TABLE_ROWS]
    currencies = (
        [row[columns.index("currency")] for row in kept] if "currency" in columns else [None] * len(kept)
    )
    cells = [
        _cells([row[number] for row in kept], currencies, is_money=_is_money(name, kind))
        for number, (name, kind) in enumerate(zip(columns, types, strict=True))
    ]
    numbers = frozenset(
        name
        for name, kind in zip(columns, types, strict=True)
        if str(kind.id) == "decimal" or str(kind) in _NUMBERS
    )
    # What has no blank in it is an id, a date or a code, and is not cut.
    words = frozenset(
        name for name, column in zip(columns, cells, strict=True) if any(" " in cell for cell in column)
    )
    out = console()
    out.print(table(None, columns, zip(*cells, strict=True), numbers=numbers, words=words - numbers))
    count = f"{len(kept)} row" if len(kept) == 1 else f"{len(kept)} rows"
    out.print(f"The first {count}; --csv gives all of them." if more else f"{count}.", style="dim")


def _is_money(name: str, kind: "duckdb.sqltypes.DuckDBPyType") -> bool:
    """The published file keeps money, quantities and shares in DECIMAL(…,4); the name tells which."""
    return str(kind.id) == "decimal" and str(kind).endswith(",4)") and not _NO_MONEY.search(name)


def _cells(values: list[Any], currencies: list[Any], *, is_money: bool) -> list[str]:
    """A column as text. Money has its currency's decimals; where no currency is said, as many as any of it needs."""
    if not is_money:
        return [plain(value) for value in values]
    needed = max((-int(value.normalize().as_tuple().exponent) for value in values if value), default=0)
    places = max(needed, 2) if needed > 0 else 0
    return [
        ""
        if value is None
        else money(value, currency)
        if isinstance(currency, str)
        else f"{value:,.{places}f}"
        for value, currency in zip(values, currencies, strict=True)
    ]


def _explained(error: "duckdb.Error", connection: "duckdb.DuckDBPyConnection") -> tuple[str, str]:
    import duckdb

    text = re.sub(r"\s+", " ", str(error).split("\n\nLINE ")[0].split("\nLINE ")[0]).strip()
    hint = 'See what there is: connector query "SHOW TABLES"   and   connector query "DESCRIBE orders"'
    if isinstance(error, duckdb.CatalogException):
        views = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY 1"
        ).fetchall()
        hint = "There are: " + ", ".join(name for (name,) in views)
    elif isinstance(error, duckdb.PermissionException) or "read-only" in text:
        hint = "This door is read-only and closed to other files; copy the file to change or join it."
    return f"DuckDB: {text}", hint
