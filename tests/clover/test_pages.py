"""What a walk over a list promises, whatever the server does."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from connector.clover.http.responses import BadRequest
from connector.clover.lists.pages import walk
from connector.clover.lists.streams import CHARGES, ORDERS
from connector.clover.lists.window import Window
from connector.errors import CloverError, PagingStuck

START_MS = 1791158400000
WEEK_MS = 7 * 86_400_000


def ids(pages):
    return [row["id"] for page in pages for row in page.rows]


def read_until_stuck(client, window, limit):
    """The ids that a walk hands out, and its PagingStuck if it ends in one."""
    found = []
    try:
        for page in walk(client, CHARGES, window, limit=limit):
            found += [row["id"] for row in page.rows]
    except PagingStuck as stuck:
        return found, stuck
    return found, None


@pytest.mark.parametrize("is_inclusive", [True, False])
@pytest.mark.parametrize("flag", ["honest", "missing", "always", "after_full"])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_every_row_comes_once(client_for, list_server, charges, week, is_inclusive, flag, count):
    server = list_server(charges(count), is_inclusive=is_inclusive, flag=flag)
    if flag == "always" and not count:
        with pytest.raises(PagingStuck, match="shows no row"):
            ids(walk(client_for(server), CHARGES, week))
        return
    found = ids(walk(client_for(server), CHARGES, week))
    assert sorted(found) == sorted(row["id"] for row in server.rows)
    assert len(server.asked) <= 12


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, WEEK_MS - 1), max_size=60),
    has_times=st.booleans(),
    page_size=st.integers(2, 30),
    limit=st.integers(2, 30),
    is_inclusive=st.booleans(),
    flag=st.sampled_from(["honest", "missing", "always", "after_full"]),
    envelope=st.sampled_from(["data", "elements", "bare"]),
    is_sorted=st.booleans(),
    repeats=st.integers(0, 3),
    window_days=st.sampled_from([0.5, 2, 7]),
)
def test_exactly_the_rows_of_the_window_whatever_the_server_does(
    client_for,
    list_server,
    week,
    times,
    has_times,
    page_size,
    limit,
    is_inclusive,
    flag,
    envelope,
    is_sorted,
    repeats,
    window_days,
):
    assume(times or flag != "always")  # no row anywhere, and more promised: a broken list
    if repeats:
        # Old rows after a page of rows of one millisecond cannot be told from a server that ignores cursors.
        times = list(dict.fromkeys(times))
    rows = [{"id": f"R{n}", "true_created": START_MS + at} for n, at in enumerate(times)]
    if has_times:
        rows = [row | {"created": row["true_created"] // 1000 * 1000} for row in rows]
    server = list_server(
        rows,
        is_inclusive=is_inclusive,
        flag=flag,
        page_size=page_size,
        envelope=envelope,
        is_sorted=is_sorted,
        repeats=repeats,
    )
    note(f"{times=} {page_size=} {limit=} {is_inclusive=} {flag=} {envelope=} {is_sorted=} {repeats=}")
    found = ids(walk(client_for(server), CHARGES, week, limit=limit, window_days=window_days))
    assert sorted(found) == sorted(row["id"] for row in rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, WEEK_MS - 1), max_size=40, unique=True),
    page_size=st.integers(2, 12),
    flag=st.sampled_from(["honest", "missing"]),
)
def test_a_server_that_ignores_cursors_is_read_by_smaller_windows(
    client_for, list_server, week, times, page_size, flag
):
    rows = [{"id": f"R{n}", "created": START_MS + at} for n, at in enumerate(times)]
    server = list_server(rows, ignores_cursor=True, page_size=page_size, flag=flag)
    assert sorted(ids(walk(client_for(server), CHARGES, week, limit=12))) == sorted(r["id"] for r in rows)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 60), limit=st.integers(2, 20), is_inclusive=st.booleans())
def test_a_denied_next_page_is_found_where_the_page_was_full(
    client_for, list_server, charges, week, count, limit, is_inclusive
):
    server = list_server(charges(count), flag="never", is_inclusive=is_inclusive)
    assert len(ids(walk(client_for(server), CHARGES, week, limit=limit))) == count


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(3, 60), hole_at=st.integers(0, 59), limit=st.integers(3, 20))
def test_rows_behind_an_empty_page_that_promises_more_are_found(
    client_for, list_server, charges, week, count, hole_at, limit
):
    """A page whose rows are withheld does not hide the rows behind it; only what is withheld stays unread."""
    rows = charges(count)
    hole = START_MS + min(hole_at, count - 1) * 600_000
    server = list_server(rows, hole=(hole, hole + 1))
    found, _stuck = read_until_stuck(client_for(server), week, limit)
    assert set(found) >= {row["id"] for row in rows if row["created"] != hole}
    assert len(found) == len(set(found))


def test_a_hole_that_stays_is_named_after_everything_else_was_handed_out(
    client_for, list_server, charges, week
):
    rows = charges(5)
    server = list_server(rows, hole=(rows[2]["created"], rows[2]["created"] + 1))
    found, stuck = read_until_stuck(client_for(server), week, 3)
    assert sorted(found) == [rows[n]["id"] for n in (0, 1, 3, 4)]
    assert stuck is not None
    assert "2026-10-05T00:20:00" in stuck.message


def test_a_full_page_is_never_taken_for_the_whole_list_when_the_flag_is_missing(
    client_for, list_server, charges, week
):
    """A server that cuts pages shorter than asked, and leaves the flag out."""
    server = list_server(charges(120), page_size=50, flag="missing")
    assert len(ids(walk(client_for(server), CHARGES, week))) == 120


def test_rows_out_of_order_do_not_end_the_walk(client_for, list_server, charges, week):
    rows = charges(90)
    server = list_server(rows[::3] + rows[1::3] + rows[2::3], is_sorted=False)
    assert len(ids(walk(client_for(server), CHARGES, week, limit=10))) == 90


def test_rows_of_other_times_are_counted_and_left_out(client_for, list_server, charges, week):
    strays = [
        {"id": f"X{n}", "created": START_MS - 86_400_000, "true_created": START_MS + n} for n in range(3)
    ]
    pages = list(walk(client_for(list_server(charges(20) + strays)), CHARGES, week))
    assert len(ids(pages)) == 20
    assert sum(page.outside for page in pages) == 3


def test_a_row_rounded_to_whole_seconds_is_still_of_its_window(client_for, list_server):
    """Clover rounds created when it is read back."""
    since = datetime(2026, 10, 5, 0, 0, 0, 500_000, tzinfo=UTC)
    window = Window(since, since + timedelta(hours=1))
    rows = [{"id": "C1", "created": START_MS, "true_created": START_MS + 600}]
    assert ids(walk(client_for(list_server(rows)), CHARGES, window)) == ["C1"]


def test_a_server_that_ignores_the_filter_is_an_error_and_not_the_whole_history(
    client_for, list_server, charges
):
    server = list_server(charges(5_000), ignores_filter=True)
    later = datetime(2027, 1, 5, tzinfo=UTC)
    with pytest.raises(CloverError, match="ignores the time filter"):
        list(walk(client_for(server), CHARGES, Window(later, later + timedelta(days=1))))
    assert len(server.asked) == 1


def test_a_deleted_cursor_restarts_the_window_once(client_for, list_server, charges, week):
    rows = charges(30)
    server = list_server(list(rows), deleted_cursors={rows[20]["id"]})
    found = ids(walk(client_for(server), CHARGES, week, limit=10))
    assert sorted(found) == sorted(row["id"] for row in rows)


def test_a_refused_first_page_is_an_error_and_not_an_empty_list(client_for, answer, week):
    client = client_for(lambda _request: answer(400, {"message": "400 Bad Request"}))
    with pytest.raises(BadRequest):
        list(walk(client, CHARGES, week))


def test_rows_without_an_id_come_apart_from_the_others_and_once(client_for, list_server, charges, week):
    broken = [{"amount": 5, "created": START_MS + 7}, {"id": None, "created": START_MS + 8}, {"id": " "}]
    for flag in ("honest", "missing"):
        server = list_server(charges(25) + broken, flag=flag)
        pages = list(walk(client_for(server), CHARGES, week, limit=10))
        assert len(ids(pages)) == 25
        assert sorted(map(str, (row for page in pages for row in page.broken))) == sorted(map(str, broken))


def test_rows_that_are_no_records_are_broken_rows(client_for, answer, week):
    body = {"object": "list", "has_more": False, "data": [None, "C1", 5, {"id": "C2", "created": START_MS}]}
    pages = list(walk(client_for(lambda _r: answer(200, body)), CHARGES, week))
    assert pages[0].broken == [None, "C1", 5]
    assert ids(pages) == ["C2"]


def test_an_answer_that_is_no_list_fails_loudly(client_for, answer, week):
    for body in ({"object": "list", "has_more": False}, {"data": None}, {"data": {"rows": []}}, "ok", 5):
        with pytest.raises(CloverError, match="no list of records"):
            list(walk(client_for(lambda _r, body=body: answer(200, body)), CHARGES, week))


def test_every_question_is_bounded_dotted_and_in_milliseconds(client_for, list_server):
    server = list_server([])
    window = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 12, 31, tzinfo=UTC))
    list(walk(client_for(server), ORDERS, window, window_days=400))
    assert len(server.asked) == 5
    for params in server.asked:
        since, until = int(params["created.gte"]), int(params["created.lt"])
        assert 10**12 < since < until <= since + 89 * 86_400_000
        assert set(params) == {"created.gte", "created.lt", "limit"}


@pytest.mark.parametrize("count", [0, 1, 150])
def test_a_server_that_always_promises_more_is_never_asked_without_bounds(
    client_for, list_server, charges, week, count
):
    """Without bounds the answer would be the merchant's whole history."""
    server = list_server(charges(count), flag="always")
    quiet = Window(week.since + timedelta(days=30), week.since + timedelta(days=37))
    for window in (week, quiet):
        found, _ = read_until_stuck(client_for(server), window, 100)
        assert len(found) == (count if window is week else 0)
    for params in server.asked:
        since, until = int(params["created.gte"]), int(params["created.lt"])
        assert 10**12 <= since < until <= since + 89 * 86_400_000


def test_a_quiet_week_of_a_shop_that_sold_last_year_is_no_broken_list(client_for, list_server, charges, week):
    server = list_server(charges(3), flag="always")
    later = Window(week.since + timedelta(days=300), week.since + timedelta(days=307))
    assert read_until_stuck(client_for(server), later, 100) == ([], None)


def test_a_quiet_week_before_a_shop_opened_is_no_broken_list(client_for, list_server, charges, week):
    server = list_server(charges(3), flag="always")
    earlier = Window(week.since - timedelta(days=300), week.since - timedelta(days=293))
    assert read_until_stuck(client_for(server), earlier, 100) == ([], None)


def test_filters_stay_the_same_from_page_to_page(client_for, list_server, charges, week):
    server = list_server(charges(250))
    list(walk(client_for(server), CHARGES, week))
    assert len({(p["created.gte"], p["created.lt"], p["limit"]) for p in server.asked}) == 1


def test_a_list_that_never_ends_is_given_up(client_for, answer, week):
    """Pages that repeat each other in turn, each promising more."""
    rows = [{"id": f"C{n}", "created": START_MS} for n in range(4)]

    def handler(request: httpx.Request) -> httpx.Response:
        page = rows[2:] if request.url.params.get("starting_after") == "C1" else rows[:2]
        inside = int(request.url.params["created.gte"]) <= START_MS < int(request.url.params["created.lt"])
        return answer(200, {"has_more": inside, "data": page if inside else []})

    found, stuck = read_until_stuck(client_for(handler), week, 100)
    assert stuck is not None
    assert sorted(found) == ["C0", "C1", "C2", "C3"]


def test_a_page_that_is_too_large_is_asked_for_in_smaller_pieces(client_for, list_server, charges, week):
    from connector.clover.http.client import Limits

    rows = [row | {"description": "x" * 1000} for row in charges(200)]
    server = list_server(rows)
    client = client_for(server, limits=Limits(body_bytes=40_000))
    assert len(ids(walk(client, CHARGES, week))) == 200
    assert {params["limit"] for params in server.asked} == {"100", "50", "25"}


@pytest.mark.parametrize(
    "created", [0, -1, 10**18, 1791158400.5, "soon", "", None, True, "1791158401000", 1791158401]
)
def test_a_row_is_not_lost_for_an_odd_creation_time(client_for, answer, week, created):
    """What cannot be read as a time proves nothing about the window; the server's filter decides."""
    body = {"has_more": False, "data": [{"id": "C1", "created": created}]}
    assert ids(walk(client_for(lambda _r: answer(200, body)), CHARGES, week)) == ["C1"]
