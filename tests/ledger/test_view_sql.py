"""The views' SQL can be read by the tools that analysts point at it: Superset, dbt, catalogues of lineage."""

import pytest
import sqlglot
from sqlglot import exp

from connector.ledger.views import definitions


def parsed(sql):
    [statement] = sqlglot.parse(sql, dialect="duckdb")
    return statement


@pytest.mark.parametrize("definition", definitions(), ids=lambda definition: definition.name)
def test_sqlglot_reads_every_definition(definition):
    if definition.is_macro:  # sqlglot knows no parameter with a default; what a macro selects it does
        statement = parsed(definition.sql.split(" AS TABLE", 1)[1])
    else:
        statement = parsed(definition.sql)
        assert isinstance(statement, exp.Create)
    assert statement.find(exp.Command) is None, "kept as text, not understood"


def test_sqlglot_reads_the_views_as_duckdb_keeps_them(store):
    with store.open_reader() as reader:
        kept = reader.connection.execute(
            "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
            " AND database_name = current_database()"
        ).fetchall()
    assert kept
    for name, sql in kept:
        assert parsed(sql).find(exp.Command) is None, name
