"""`connector query`: exact, read-only, closed to everything but the published file."""

import csv
import io
import json
import sys

import pytest


def test_a_table_shows_exact_money_and_times(connector, published):
    code, out, _err = connector("query", "SELECT order_id, total_amount, created_date FROM orders ORDER BY 1")
    assert code == 0
    assert "12.5000" in out
    assert "900,719,925,474.0993" in out
    assert "2026-11-20T04:00:00\n" in out, "a column without a zone: no Z"
    assert "2 rows." in out


AT = "TIMESTAMPTZ '2026-11-20 04:00:00+00'"
TIMES = [
    # SQL, as CSV and the table show it, as JSON
    (AT, "2026-11-20T04:00:00Z", "2026-11-20T04:00:00Z"),
    ("TIMESTAMPTZ '2026-11-19 23:00:00.25-05'", "2026-11-20T04:00:00.250000Z", "2026-11-20T04:00:00.250000Z"),
    ("TIMESTAMP '2026-11-20 04:00:00'", "2026-11-20T04:00:00", "2026-11-20T04:00:00"),
    (f"{AT} AT TIME ZONE 'America/New_York'", "2026-11-19T23:00:00", "2026-11-19T23:00:00"),
    (
        "TIMESTAMP '2026-11-19 23:00:00' AT TIME ZONE 'America/New_York'",
        "2026-11-20T04:00:00Z",
        "2026-11-20T04:00:00Z",
    ),
    ("TIMESTAMP_S '2026-11-20 04:00:00'", "2026-11-20T04:00:00", "2026-11-20T04:00:00"),
    ("DATE '2026-11-20'", "2026-11-20", "2026-11-20"),
    ("NULL::TIMESTAMPTZ", "", None),
    (f"[{AT}, NULL]", '["2026-11-20T04:00:00Z", null]', ["2026-11-20T04:00:00Z", None]),
    (f"[[{AT}]]", '[["2026-11-20T04:00:00Z"]]', [["2026-11-20T04:00:00Z"]]),
    (f"array_value({AT})", '["2026-11-20T04:00:00Z"]', ["2026-11-20T04:00:00Z"]),
    (
        f"{{'at': {AT}, 'wall': TIMESTAMP '2026-11-19 23:00:00', 'TIMESTAMP WITH TIME ZONE': 1}}",
        '{"at": "2026-11-20T04:00:00Z", "wall": "2026-11-19T23:00:00", "TIMESTAMP WITH TIME ZONE": 1}',
        {"at": "2026-11-20T04:00:00Z", "wall": "2026-11-19T23:00:00", "TIMESTAMP WITH TIME ZONE": 1},
    ),
    (f"MAP {{'k': {AT}}}", '{"k": "2026-11-20T04:00:00Z"}', {"k": "2026-11-20T04:00:00Z"}),
    (f"union_value(k := {AT})", "2026-11-20T04:00:00Z", "2026-11-20T04:00:00Z"),
]


@pytest.mark.parametrize(("sql", "text", "value"), TIMES)
def test_only_a_point_in_time_ends_in_z_and_nothing_but_duckdb_is_needed(
    connector, published, monkeypatch, sql, text, value
):
    """DuckDB asks for pytz, which an install without extras does not have."""
    monkeypatch.setitem(sys.modules, "pytz", None)
    statement = f"SELECT 1 AS n, {sql} AS t, {sql} AS t -- twice"
    code, out, err = connector("query", "--csv", statement)
    assert code == 0, err
    assert list(csv.reader(io.StringIO(out))) == [["n", "t", "t_2"], ["1", text, text]]
    assert json.loads(connector("query", "--json", statement + "\n;")[1]) == [
        {"n": 1, "t": value, "t_2": value}
    ]
    assert text in connector("query", f"SELECT {sql} AS t")[1]


def test_points_in_time_come_in_the_order_that_was_asked_for(connector, published):
    sql = "SELECT to_timestamp(i) AS t FROM range(20000) r(i) ORDER BY i DESC"
    lines = connector("query", "--csv", sql)[1].splitlines()[1:]
    assert lines == sorted(lines, reverse=True)
    assert len(lines) == 20000


def test_money_has_the_decimals_of_its_currency_and_lines_up(connector, published):
    rows = "(VALUES (1234567.5::DECIMAL(18,4), 'USD'), (500, 'JPY'), (1.234, 'KWD'), (NULL, 'USD')) t(amount, currency)"
    lines = connector("query", f"SELECT amount, currency FROM {rows}")[1].splitlines()[2:6]
    assert lines == [
        "1,234,567.50   USD",
        "      500      JPY",
        "        1.234  KWD",
        "               USD",
    ]
    shown = connector(
        "query", "SELECT 1.5::DECIMAL(18,4) AS quantity, 0.0825::DECIMAL(18,4) AS rate, 7 AS year"
    )[1]
    assert shown.splitlines()[2].split() == ["1.5", "0.0825", "7"], "no money"


def test_json_keeps_every_digit(connector, published):
    _code, out, _err = connector(
        "query", "--json", "SELECT total_amount, NULL AS nothing FROM orders ORDER BY 1 DESC"
    )
    assert json.loads(out, parse_float=str) == [
        {"total_amount": "900719925474.0993", "nothing": None},
        {"total_amount": "12.5", "nothing": None},
    ]


def test_csv_is_csv(connector, published):
    _code, out, _err = connector("query", "--csv", "SELECT 'a,\"b' AS x, [1, 2] AS l, NULL AS n, 1 AS x")
    assert list(csv.reader(io.StringIO(out))) == [["x", "l", "n", "x_2"], ['a,"b', "[1, 2]", "", "1"]]


def test_the_statement_may_come_from_standard_input(connector, published, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 41 + 1 AS answer"))
    assert "42" in connector("query", "-")[1]


def test_more_rows_than_a_screen_takes_are_announced(connector, published):
    out = connector("query", "SELECT * FROM range(1200)")[1]
    assert "The first 1000 rows; --csv gives all of them." in out
    assert len(connector("query", "--csv", "SELECT * FROM range(1200)")[1].splitlines()) == 1201


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "CREATE TABLE t(x INT)",
        "DROP VIEW monthly_sales",
        "COPY orders TO 'out.csv'",
        "SELECT * FROM read_csv('config.yaml')",
        "SELECT * FROM read_text('config.yaml')",
        "SELECT * FROM 'config.yaml'",
        "ATTACH 'other.duckdb'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "INSTALL httpfs",
        "EXPORT DATABASE 'out'",
    ],
)
def test_nothing_can_be_changed_and_no_other_file_reached(connector, published, sql):
    before = sorted(path.name for path in published.iterdir())
    code, out, err = connector("query", sql)
    assert code == 2
    assert "juniper" not in (out + err).lower()
    assert sorted(path.name for path in published.iterdir()) == before
    assert connector("query", "--csv", "SELECT count(*) FROM orders")[1].split() == ["count_star()", "2"]


def test_a_wrong_name_lists_what_there_is(connector, published):
    code, _out, err = connector("query", "SELECT * FROM ordrs")
    assert code == 2
    assert "ordrs" in err
    assert "monthly_sales" in err


def test_wrong_sql_is_told_in_one_line(connector, published):
    code, _out, err = connector("query", "SELEC 1")
    assert code == 2
    assert len(err.splitlines()) == 2


def test_one_statement_at_a_time(connector, published):
    code, _out, err = connector("query", "SELECT 1; SELECT 2")
    assert code == 2
    assert "2 statements" in err


def test_before_the_first_publish_it_says_what_to_run(connector, shop):
    code, _out, err = connector("query", "SELECT 1")
    assert code == 1
    assert "connector sync" in err


def test_no_clover_token_is_needed(connector, published, monkeypatch):
    config = published / "config.yaml"
    config.write_text(config.read_text().replace("${CLOVER_TOKEN:-a-token-value}", "${CLOVER_TOKEN_UNSET}"))
    monkeypatch.delenv("CLOVER_TOKEN_UNSET", raising=False)
    assert connector("query", "SELECT 1")[0] == 0
    code, _out, err = connector("sync")
    assert code == 2
    assert "CLOVER_TOKEN_UNSET" in err
