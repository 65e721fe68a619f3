"""``connector query``: SQL on the published file, for people and for pipes."""

import csv
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import open_published
from connector.cli.terminal.output import console, json_text, plain, table
from connector.cli.terminal.stopping import stopping
from connector.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

TABLE_ROWS = 1000
"""A table on a screen ends here; --csv and --json give every row."""


@click.command()
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header line.")
@json_option
@pass_invocation
def query(invocation: Invocation, sql: str, as_csv: bool, as_json: bool) -> None:
    """Run one read-only SQL statement on the published DuckDB file.

    Money is exact, times are UTC. `-` reads the statement from standard input. Nothing can be changed, and no
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
    with open_published(config.store) as connection, stopping(invocation.interruption, connection.interrupt):
        try:
            parsed = connection.extract_statements(statement)
            if len(parsed) != 1:
                raise ConfigError(
                    f"That is {len(parsed)} statements; one is expected.", hint="Send them one by one."
                )
            result = connection.execute(parsed[0])
            columns = _unique([str(column[0]) for column in result.description or []])
            if as_csv:
                _print_csv(columns, _rows(result))
            elif as_json:
                click.echo(json_text([dict(zip(columns, row, strict=True)) for row in _rows(result)]))
            else:
                _print_table(columns, _rows(result))
        except duckdb.Error as error:
            if invocation.interruption.number is not None or damage_in(error) is not None:
                raise
            message, hint = _explained(error, connection)
            raise ConfigError(message, hint=hint) from None


def _rows(result: "duckdb.DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(5000):
        yield from rows


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


def _print_table(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    from decimal import Decimal

    shown: list[list[str]] = []
    numbers: set[str] = set()
    more = False
    for row in rows:
        if len(shown) == TABLE_ROWS:
            more = True
            break
        numbers.update(
            column
            for column, value in zip(columns, row, strict=True)
            if isinstance(value, int | Decimal | float) and not isinstance(value, bool)
        )
        shown.append([plain(value) for value in row])
    out = console()
    out.print(
        table(None, columns, ([_unmarked(cell) for cell in row] for row in shown), numbers=frozenset(numbers))
    )
    count = f"{len(shown)} row" if len(shown) == 1 else f"{len(shown)} rows"
    out.print(f"The first {count}; --csv gives all of them." if more else f"{count}.", style="dim")


def _unmarked(text: str) -> str:
    from rich.markup import escape

    return escape(text)


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
