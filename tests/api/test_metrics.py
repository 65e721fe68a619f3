"""Commerce metrics on a fixture worked out by hand, and the structure Codat's clients index into.

        order  customer  created (UTC)        lines        total  refund
Aug     A      X         08-10                2 x 10 +1       21
Sep     B      X         09-01                1 x 100 +8     108
        C      Y         09-11                3 x 5           15
        D      guest     09-30 23:59:59       50, back 50      0     -50
Oct     E      Y         10-01 00:00:00       1 x 40          40
        F      Y         10-11 00:00:00       1 x 60          60
        G      Z         10-05                1 x 20          20
"""

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from connector.api.answer.periods import periods, read_report_date

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
METRICS = f"/data/companies/{JUNIPER}/connections/{SHOP}/assess/commerceMetrics"
REPORTS = ("revenue", "orders", "refunds", "customerRetention", "lifetimeValue")


@pytest.fixture(scope="module")
def get(tmp_path_factory, builders):
    made = builders.Books(tmp_path_factory.mktemp("metrics"))
    at = datetime
    for order_id, customer, created, lines in [
        ("A", "X", at(2026, 8, 10), [("2", "10", "1")]),
        ("B", "X", at(2026, 9, 1), [("1", "100", "8")]),
        ("C", "Y", at(2026, 9, 11), [("3", "5", "0")]),
        ("D", None, at(2026, 9, 30, 23, 59, 59), [("1", "50", "0"), ("-1", "50", "0")]),
        ("E", "Y", at(2026, 10, 1), [("1", "40", "0")]),
        ("F", "Y", at(2026, 10, 11), [("1", "60", "0")]),
        ("G", "Z", at(2026, 10, 5), [("1", "20", "0")]),
    ]:
        rows = [builders.line(f"L{n}", int(q), p, tax=t) for n, (q, p, t) in enumerate(lines)]
        made.orders.append(builders.Shop(order_id, created, rows, [], customer=customer))
    euros = builders.Shop("EUR", at(2026, 10, 2), [builders.line("L", 1, "999")], [], currency="EUR")
    made.orders.append(euros)
    made.run("r1", JUNIPER, SHOP, at(2026, 11, 18))
    made.snapshot(1, "r1", JUNIPER, SHOP, at(2026, 11, 18))
    made.connections.append((JUNIPER, SHOP, "Linked", "USD"))
    made.publish()
    running = builders.serve(made)
    server = next(running)
    headers = server.key("read", companies=[JUNIPER])

    def ask(report, **more):
        params = {"reportDate": "29-10-2026", "periodLength": 1, "numberOfPeriods": 2, "periodUnit": "Month"}
        return server.client.get(f"{METRICS}/{report}", params={**params, **more}, headers=headers)

    yield ask
    running.close()


def values(answer):
    """For each period, the value of each component, None where the measure is left out."""
    return [
        [c["measures"][0]["value"] if c["measures"] else None for c in period["components"]]
        for period in answer.json()["reportData"]
    ]


@pytest.mark.parametrize(
    ("report", "september", "october"),
    [
        ("revenue", [115, 475], [120, 4.35]),
        ("orders", [3, 123, 41], [3, 120, 40]),
        ("refunds", [1, -50, 0.33], [0, 0, 0]),
        ("customerRetention", [1, 1, 2, 100, 50], [1, 1, 2, 50, 50]),
        ("lifetimeValue", [0], [300]),
    ],
)
def test_each_figure_is_the_one_worked_out_by_hand(get, report, september, october):
    assert values(get(report)) == [september, october]


@pytest.mark.parametrize("report", REPORTS)
def test_the_report_is_the_bare_object_in_codats_structure(get, report):
    body = get(report).json()
    assert body.keys() == {"reportInfo", "dimensions", "measures", "reportData", "errors"}
    period, metrics = body["dimensions"]
    assert (period["displayName"], period["type"], metrics["type"]) == ("Period", "datespan", "string")
    assert [(i["start"], i["end"]) for i in period["items"]] == [
        ("2026-09-01", "2026-09-30"),
        ("2026-10-01", "2026-10-31"),
    ]
    for data in body["reportData"]:
        assert [c["item"] for c in data["components"]] == [i["index"] for i in metrics["items"]]
        assert all(len(c["measures"]) <= 1 for c in data["components"])
    assert {m["type"] for m in body["measures"]} <= {"int", "currency", "percentage"}
    assert all(m["units"] == "USD" for m in body["measures"] if m["type"] == "currency")


def test_names_come_only_when_asked_for(get):
    assert "itemDisplayName" not in get("orders").text
    named = get("orders", includeDisplayNames="true").json()["reportData"][0]
    assert named["itemDisplayName"] == "Period 0"
    assert [c["itemDisplayName"] for c in named["components"]] == [
        "Number of orders",
        "Total value",
        "Average order value",
    ]


def test_orders_in_another_currency_are_never_added_but_named(get):
    [error] = get("orders").json()["errors"]
    assert error["details"] == {"leftOut": ["EUR"]}


def test_both_ways_to_write_the_date_give_the_whole_month(get):
    assert get("orders", reportDate="2026-10-01").json() == get("orders", reportDate="31-10-2026").json()


@pytest.mark.parametrize(
    "written",
    [
        "2026-10-11T00:00:00Z",
        "2026-10-11T23:59:59",
        "11-10-2026T08:30:00.000Z",
        "2026-10-12T01:00:00%2B02:00",
    ],
)
def test_a_time_as_report_date_names_its_utc_day(get, written):
    plain = get("revenue", reportDate="2026-10-11", periodUnit="Day").json()
    assert get("revenue", reportDate=written.replace("%2B", "+"), periodUnit="Day").json() == plain
    assert plain["dimensions"][0]["items"][-1]["end"] == "2026-10-11"


def test_growth_is_left_out_only_after_a_period_without_revenue(get):
    """July had none, June and before neither; everything later compares with the month before."""
    growth = [period[1] for period in values(get("revenue", numberOfPeriods=4))]
    assert growth == [None, None, 475, 4.35]


@pytest.mark.parametrize(
    ("unit", "ends", "partial"),
    [
        ("Day", "17-11-2026", [False, False]),
        ("Day", "18-11-2026", [False, True]),  # the sync of that midnight has not seen the day
        ("Week", "19-11-2026", [False, True]),
        ("Month", "01-11-2026", [False, True]),
        ("Month", "31-10-2026", [False, False]),
        ("Year", "31-10-2026", [False, False]),
        ("Month", "15-01-2027", [True, True]),
    ],
)
def test_a_period_that_is_not_over_or_not_read_to_its_end_is_marked(get, unit, ends, partial):
    body = get("revenue", reportDate=ends, periodUnit=unit).json()
    assert [item.get("inProgress", False) for item in body["dimensions"][0]["items"]] == partial
    assert [data.get("inProgress", False) for data in body["reportData"]] == partial


@pytest.mark.parametrize(
    ("report", "title", "about"),
    [
        ("revenue", "Revenue", "Revenue metrics"),
        ("orders", "Orders", "Order metrics"),
        ("refunds", "Refunds", "Refund metrics"),
        ("customerRetention", "Customer Retention", "Customer retention metrics"),
        ("lifetimeValue", "Lifetime Value", "Lifetime value metrics"),
    ],
)
def test_labels_are_codats_own(get, report, title, about):
    body = get(report, includeDisplayNames="true").json()
    assert (body["reportInfo"]["displayName"], body["dimensions"][1]["displayName"]) == (title, about)
    assert [item["displayName"] for item in body["dimensions"][0]["items"]] == ["Period 0", "Period 1"]
    assert {c["dimensionDisplayName"] for p in body["reportData"] for c in p["components"]} == {about}


def test_as_of_works_here_too(get):
    assert get("orders", asOf="1").json() == get("orders").json()
    assert get("orders", asOf="2").status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"reportDate": "31-02-2026"}, {"reportDate": "October"}, {"periodLength": 0}, {"numberOfPeriods": 0},
        {"periodUnit": "Decade"}, {"reportDate": "01-01-0001"}, {"reportDate": "31-12-9999"},
        {"periodUnit": "Year", "periodLength": 1000, "numberOfPeriods": 400},
        {"periodUnit": "Week", "periodLength": 1000, "numberOfPeriods": 400},
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_400(get, wrong):
    assert get("orders", **wrong).status_code == 400


def test_never_synced_is_a_404_because_codats_clients_know_no_409_here(shared):
    path = f"/data/companies/{JUNIPER}/connections/n-new/assess/commerceMetrics/orders"
    params = {"reportDate": "29-10-2026", "periodLength": 1, "numberOfPeriods": 2, "periodUnit": "Month"}
    answer = shared.client.get(path, params=params, headers=shared.key("read"))
    assert (answer.status_code, answer.json()["detailedErrorCode"]) == (404, 101)


@pytest.mark.parametrize("unit", ["Day", "Week", "Month", "Year"])
@pytest.mark.parametrize("length", [1, 3])
def test_periods_lie_back_to_back_and_end_with_the_day_or_the_month(unit, length):
    made = periods(read_report_date("15-02-2024"), length, unit, 5)
    assert made[-1].end == (date(2024, 2, 15) if unit in ("Day", "Week") else date(2024, 2, 29))
    assert all(a.end + timedelta(days=1) == b.start for a, b in pairwise(made))
    days = {(p.end - p.start).days + 1 for p in made}
    if unit in ("Day", "Week"):
        assert days == {length * (7 if unit == "Week" else 1)}
    else:
        assert {p.start.day for p in made} == {1}
