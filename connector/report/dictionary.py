"""The data dictionary: every view, macro and column with its meaning, as Markdown and as dbt sources.

Made from the definitions this version comes with, in an empty ledger in memory: no store has to exist.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb
import yaml

from connector.ledger.migrate import migrate
from connector.ledger.views import definitions

_FRESHNESS = "connection_state"


@dataclass(frozen=True, slots=True)
class Column:
    """type: as DuckDB writes it. meaning: unit, sign and source in words."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """A view, or a table macro (then ``parameters`` is given). grain: the columns that tell its rows apart.

    references: view -> columns that are its grain. values: column -> all it holds beside NULL.
    """

    name: str
    meaning: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    parameters: tuple[str, ...] | None = None
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def signature(self) -> str:
        """How it is written in SQL."""
        return self.name if self.parameters is None else f"{self.name}({', '.join(self.parameters)})"


def views() -> tuple[View, ...]:
    """Every view and macro of this version, in the order they are explained. Macros have no columns here."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("CREATE SCHEMA ledger")
        migrate(connection, at=datetime(2000, 1, 1, tzinfo=UTC))
        columns = _columns(connection)
        parameters = dict(
            connection.execute(
                "SELECT function_name, parameters FROM duckdb_functions()"
                " WHERE NOT internal AND function_type = 'table_macro'"
            ).fetchall()
        )
    finally:
        connection.close()
    return tuple(
        View(
            name=definition.name,
            meaning=definition.meaning,
            grain=definition.grain,
            columns=tuple(columns.get(definition.name, ())),
            parameters=tuple(parameters[definition.name]) if definition.is_macro else None,
            references=definition.references,
            values=definition.values,
        )
        for definition in definitions()
    )


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = {}
    for view, name, kind, meaning in connection.execute(
        "SELECT table_name, column_name, data_type, coalesce(comment, '') FROM duckdb_columns()"
        " WHERE schema_name = 'main' AND NOT internal ORDER BY table_name, column_index"
    ).fetchall():
        found.setdefault(view, []).append(Column(name, kind, meaning))
    return found


def markdown() -> str:
    """The dictionary for people: one section a view, one line a column."""
    return "\n".join(_markdown_lines()) + "\n"


def _markdown_lines() -> Iterator[str]:
    everything = views()
    yield "# Data dictionary"
    yield ""
    yield "`commerce.duckdb`, explained by `connector dictionary`. Times are UTC. Money is exact, in major units of"
    yield "the row's `currency`; amounts of different currencies are never added. Days and months are the merchant's."
    yield ""
    for view in everything:
        yield f"- [{view.signature}](#{view.name}): {view.meaning.split('. ')[0].rstrip('.')}"
    for view in everything:
        yield ""
        yield f"## {view.name}"
        yield ""
        yield view.meaning
        if view.parameters is not None:
            yield ""
            yield f"Used as `SELECT * FROM {view.signature}`."  # noqa: S608 - text for people
            continue
        yield ""
        yield f"Rows are told apart by: {', '.join(f'`{name}`' for name in view.grain)}."
        yield ""
        yield "| column | type | meaning |"
        yield "|---|---|---|"
        for column in view.columns:
            yield f"| `{column.name}` | {column.type} | {_cell(column.meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def dbt_sources(database: str = "commerce") -> str:
    """dbt's ``sources.yml``. database: the name under which the file is attached.

    Tested by what dbt itself comes with: every grain is unique and never NULL, what refers to another view is there,
    columns hold what they may; and how long the connection that is furthest behind has not been read.
    """
    everything = views()
    grains = {view.name: view.grain for view in everything}
    tables = [_dbt_table(view, grains) for view in everything if view.parameters is None]
    source = {
        "name": "commerce",
        "description": "Clover Ecommerce sales in Codat's commerce schema. Read-only; times in UTC.",
        "database": database,
        "schema": "main",
        "tables": tables,
    }
    head = "# Made by: connector dictionary --dbt\n"
    return head + yaml.safe_dump(
        {"version": 2, "sources": [source]}, sort_keys=False, allow_unicode=True, width=110
    )


def _dbt_table(view: View, grains: Mapping[str, tuple[str, ...]]) -> dict[str, object]:
    config: dict[str, object] = {"meta": {"grain": list(view.grain)}}
    if view.name == _FRESHNESS:
        # A connection that never succeeded has been stale since the beginning of time.
        config["loaded_at_query"] = (
            "select coalesce(min(coalesce(last_success, timestamp '1970-01-01')), timestamp '1970-01-01')"
            " from {{ this }} where status = 'Linked'"
        )
        config["freshness"] = {
            "warn_after": {"count": 6, "period": "hour"},
            "error_after": {"count": 24, "period": "hour"},
        }
    table: dict[str, object] = {
        "name": view.name,
        "description": view.meaning,
        "config": config,
        "columns": [_dbt_column(column, view) for column in view.columns],
    }
    tests: list[object] = []
    if len(view.grain) > 1:
        tests.append(_dbt_test("unique", "grain_is_unique", view, column_name=_row(view.grain)))
    for parent, columns in view.references.items():
        arguments = {"column_name": _if_known(columns), "to": f"source('commerce', '{parent}')"}
        tests.append(
            _dbt_test("relationships", f"is_in_{parent}", view, **arguments, field=_row(grains[parent]))
        )
    if tests:
        table["data_tests"] = tests
    return table


def _dbt_test(test: str, promise: str, view: View, **arguments: str) -> dict[str, object]:
    return {test: {"name": f"{view.name}_{promise}", "arguments": arguments}}


def _row(columns: Iterable[str]) -> str:
    """Several columns as one value."""
    return f"row({', '.join(_quoted(name) for name in columns)})"


def _if_known(columns: tuple[str, ...]) -> str:
    """Several columns as one value, NULL where one of them is: dbt leaves that out."""
    known = " and ".join(f"{_quoted(name)} is not null" for name in columns)
    return f"(case when {known} then {_row(columns)} end)"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _dbt_column(column: Column, view: View) -> dict[str, object]:
    described: dict[str, object] = {
        "name": column.name,
        "description": column.meaning,
        "data_type": column.type,
    }
    tests: list[object] = []
    if column.name in view.grain:
        tests += ["not_null", "unique"] if view.grain == (column.name,) else ["not_null"]
    if column.name in view.values:
        tests.append({"accepted_values": {"arguments": {"values": list(view.values[column.name])}}})
    if tests:
        described["data_tests"] = tests
    return described
