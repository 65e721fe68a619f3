"""The query language: what parses, what it means, and where an error points."""

from datetime import datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.api.query.fields import COMPANIES, ORDERS, Fields, date, number, text
from connector.api.query.grammar import MAX_LENGTH, And, Clause, QuerySyntaxError, parse
from connector.api.query.ordering import read_order
from connector.api.query.rows import matching, ordered
from connector.api.query.sql import QueryError, compile_query

SMALL: Fields = {
    "id": text("v.id"),
    "name": text("v.name"),
    "totalAmount": number("v.amount"),
    "createdDate": date("v.created"),
}


def shape(node):
    if isinstance(node, Clause):
        return f"{node.path}{node.op}{node.value}"
    return ("and" if isinstance(node, And) else "or", *map(shape, node.terms))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=Paid", "status=Paid"),
        ("  customerRef.id != C 1 ", "customerRef.id!=C 1"),
        ("name=Marks & Spencer | Co", "name=Marks & Spencer | Co"),
        ("name~a=b", "name~a=b"),
        ('status="Paid"', "status=Paid"),
        ("status!= 'Paid' && id=1", ("and", "status!=Paid", "id=1")),
        ("{name=\u201cMarks & Co\u201d}", "name=Marks & Co"),
        ("totalAmount>'5'", "totalAmount>5"),
        ("name~'t Hooft", "name~'t Hooft"),
        ('name=Pipe 5"', 'name=Pipe 5"'),
        ("a=1&&b=2||c=3", ("or", ("and", "a=1", "b=2"), "c=3")),
        (
            "{totalAmount > 100 || totalAmount < 50} && status != paid",
            ("and", ("or", "totalAmount>100", "totalAmount<50"), "status!=paid"),
        ),
        ("{{a=1}}", "a=1"),
        ("modifiedDate>=2021-09-03T12:00:00.000Z", "modifiedDate>=2021-09-03T12:00:00.000Z"),
    ],
)
def test_a_query_parses_into_the_tree_it_says(query, expected):
    assert shape(parse(query)) == expected


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("totalAmount", 12),
        ("totalAmount >", 14),
        ("=5", 1),
        ("a=1 &&", 7),
        ("a=1 && && b=2", 8),
        ("{a=1", 5),
        ("a=1}", 4),
        ("a=1{b=2}", 4),
        ("a..b=1", 2),
        ("lineItems[0].x=1", 10),
        ("{" * 500 + "a=1" + "}" * 500, 65),
        ("a=" + "1" * (MAX_LENGTH - 2), MAX_LENGTH),
        ('name="A || id=B"', 6),
        ("name='A {b} c'", 6),
        ('name="A || id=B" && c=1', 6),
        ('name=""', 7),
    ],
)
def test_a_malformed_query_points_at_the_first_wrong_character(query, position):
    with pytest.raises(QuerySyntaxError) as caught:
        parse(query)
    assert caught.value.position == position


def test_a_query_of_2047_characters_is_read():
    assert parse("a=" + "1" * (MAX_LENGTH - 3))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("isCompleted=true", "Could not resolve property isCompleted on Order"),
        ("orderLineItems.id=1", "orderLineItems is a list"),
        ("orderLineItems.productRef.id=1", "orderLineItems is a list"),
        ("payments=1", "it is a list"),
        ("customerRef=C1", "name one of its members"),
        ("totalAmount>abc", "not a number"),
        ("totalAmount>1e5", "not a number"),
        ("totalAmount~5", "does not apply"),
        ("currency>USD", "does not apply"),
        ("createdDate=2021-02-30", "not a date"),
        ("createdDate>yesterday", "not a date"),
        ("id=1; DROP TABLE x && nope=1", "Could not resolve property nope"),
    ],
)
def test_a_question_that_makes_no_sense_is_an_error_and_not_an_empty_answer(query, words):
    with pytest.raises(QueryError, match=r"^Error parsing query - ") as caught:
        compile_query(query, ORDERS, "Order")
    assert words in caught.value.text


def test_property_names_ignore_case():
    assert (
        compile_query("CUSTOMERREF.ID=1", ORDERS, "Order").sql
        == compile_query("customerRef.id=1", ORDERS, "Order").sql
    )


SQL_OF_OURS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.,()<>=? 0123456789")
ALPHABET = "abAB1 .%_'\"\\;-"
# A value ends at braces and doubled signs and is trimmed: these are the texts a query can name at all.
WORDS = st.text(ALPHABET, min_size=1, max_size=6).map(str.strip).filter(bool)
AMOUNTS = st.decimals("-1000", "1000", places=4)
TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 3)).map(lambda t: t.replace(microsecond=0))  # noqa: DTZ001
# Quotes around a value are not part of it: what they do is tested by itself.
VALUES = WORDS.filter(lambda words: not words.startswith(("'", '"')))
ROWS = st.lists(
    st.tuples(st.none() | WORDS, st.none() | AMOUNTS, st.none() | TIMES),
    max_size=12,
)


@st.composite
def a_clause(draw):
    """(text of the clause, what it means for a row (name, amount, created))"""
    kind = draw(st.sampled_from(["name", "totalAmount", "createdDate"]))
    if kind == "name":
        op, value = draw(st.sampled_from(["=", "!=", "~"])), draw(VALUES)
        low = value.lower()
        truth = {
            "=": lambda r: r[0] is not None and r[0].lower() == low,
            "!=": lambda r: r[0] is None or r[0].lower() != low,
            "~": lambda r: r[0] is not None and low in r[0].lower(),
        }[op]
        return f"name {op} {value}", truth
    op = draw(st.sampled_from(["=", "!=", "<", ">", "<=", ">="]))
    at = 1 if kind == "totalAmount" else 2
    if at == 1:
        want = draw(
            AMOUNTS
            | st.decimals("-1000", "1000", places=7)
            | st.sampled_from([Decimal(10) ** 20, -(Decimal(10) ** 14)])
        )
        written = f"{want:f}"
    else:
        want = draw(TIMES)
        written = draw(
            st.sampled_from(
                [
                    want.isoformat(),
                    want.isoformat() + "Z",
                    want.isoformat() + ".000Z",
                    want.isoformat() + "+00:00",
                ]
            )
        )
    compare = {
        "=": lambda h: h == want,
        "<": lambda h: h < want,
        ">": lambda h: h > want,
        "<=": lambda h: h <= want,
        ">=": lambda h: h >= want,
    }
    if op == "!=":
        return f"{kind}!={written}", lambda r: r[at] is None or r[at] != want
    return f"{kind}{op}{written}", lambda r: r[at] is not None and compare[op](r[at])


def _join(parts, glue):
    every = all if glue == "&&" else any
    return (
        "{" + f" {glue} ".join(t for t, _ in parts) + "}",
        lambda r: every(f(r) for _, f in parts),
    )


QUERIES = st.recursive(
    a_clause(),
    lambda inner: st.tuples(st.lists(inner, min_size=2, max_size=3), st.sampled_from(["&&", "||"])).map(
        lambda p: _join(*p)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def connection():
    con = duckdb.connect()
    con.execute("CREATE TABLE t (id VARCHAR, name VARCHAR, amount DECIMAL(18,4), created TIMESTAMP)")
    yield con
    con.close()


@settings(max_examples=250, deadline=None)
@given(rows=ROWS, query=QUERIES)
def test_sql_and_memory_agree_row_for_row_with_plain_python(connection, rows, query):
    """The oracle is the meaning each clause was built with; both engines must select the same rows."""
    words, truth = query
    expected = [f"{i:03d}" for i, row in enumerate(rows) if truth(row)]
    connection.execute("DELETE FROM t")
    if rows:
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)", [(f"{i:03d}", *row) for i, row in enumerate(rows)]
        )
    condition = compile_query(words, SMALL, "Order")
    found = connection.execute(
        f"SELECT id FROM t v WHERE {condition.sql} ORDER BY id", list(condition.parameters)
    ).fetchall()
    assert [r[0] for r in found] == expected

    in_memory = [
        {"id": f"{i:03d}"}
        | ({"name": n} if n is not None else {})
        | ({"totalAmount": a} if a is not None else {})
        | ({"createdDate": c.isoformat() + "Z"} if c is not None else {})
        for i, (n, a, c) in enumerate(rows)
    ]
    assert [r["id"] for r in matching(in_memory, words, SMALL, "Order")] == expected


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text("ab=!<>~&|{}. 1'\";-", max_size=30))
def test_any_text_is_a_query_or_a_query_error_and_never_reaches_sql_unbound(words):
    """Whatever the client writes, the SQL is made of our own pieces: its words are only ever parameters."""
    try:
        condition = compile_query(words, ORDERS, "Order")
    except QueryError as error:
        position = error.position
    else:
        position = 1
        assert condition.sql.count("?") == len(condition.parameters)
        assert set(condition.sql) <= SQL_OF_OURS
    assert 1 <= position <= len(words) + 1


@pytest.mark.parametrize(
    "order_by", [None, "name", "-name", "totalAmount", "-totalAmount", "-createdDate", "-id"]
)
def test_both_engines_order_alike_missing_first_ascending_last_descending(connection, order_by):
    rows = [
        ("a", "b", Decimal(1), None),
        ("c", None, Decimal(1), datetime(2024, 1, 2)),  # noqa: DTZ001
        ("b", "B", None, datetime(2024, 1, 1)),  # noqa: DTZ001
        ("10", "b", Decimal(-2), datetime(2024, 1, 2)),  # noqa: DTZ001
        ("1", None, None, None),
    ]
    connection.execute("DELETE FROM t")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    order = read_order(order_by, SMALL, "Order")
    by_sql = [r[0] for r in connection.execute(f"SELECT id FROM t v ORDER BY {order.sql}").fetchall()]
    in_memory = [
        {
            k: v
            for k, v in {"id": i, "name": n, "totalAmount": a, "createdDate": c and c.isoformat()}.items()
            if v is not None
        }
        for i, n, a, c in rows
    ]
    assert by_sql == [r["id"] for r in ordered(in_memory, order)]
    if order_by is None:
        assert by_sql == ["1", "10", "a", "b", "c"]
    if order_by == "name":
        assert by_sql == ["1", "c", "b", "10", "a"]


@pytest.mark.parametrize("order_by", ["nope", "-nope", "-", "payments", "customerRef", "id desc", "id;--"])
def test_an_order_that_does_not_exist_is_an_error(order_by):
    with pytest.raises(QueryError, match=r"^Error parsing orderBy - "):
        read_order(order_by, ORDERS, "Order")


def test_a_path_through_the_connections_of_a_company_means_any_of_them():
    companies = [
        {"id": "1", "dataConnections": [{"status": "Linked"}, {"status": "PendingAuth"}]},
        {"id": "2", "dataConnections": [{"status": "Linked"}]},
        {"id": "3", "dataConnections": []},
    ]

    def ids(query):
        return [c["id"] for c in matching(companies, query, COMPANIES, "Company")]

    assert ids("dataConnections.status=pendingauth") == ["1"]
    no_connections = "&&".join(
        f"dataConnections.status!={s}" for s in ("Linked", "PendingAuth", "Unlinked", "Deauthorized")
    )
    assert ids(no_connections) == ["3"]


def test_instants_compare_as_instants_whatever_their_zone():
    row = [{"id": "1", "created": "2024-01-01T12:00:00Z"}]
    assert matching(row, "created=2024-01-01T14:00:00+02:00", COMPANIES, "Company")
    assert matching(row, "created>2024-01-01", COMPANIES, "Company")
    assert not matching(row, "created>2024-01-01T12:00:00.0000000Z", COMPANIES, "Company")
