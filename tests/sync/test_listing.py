from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from connector.clover.lists.rows import Page
from connector.clover.lists.streams import CHARGES, ORDERS
from connector.clover.lists.window import Window
from connector.errors import CloverUnavailable
from connector.sync.read.listing import GrowingJobs, ListJob, WindowLengths, read_jobs

DAY = datetime(2026, 11, 1, tzinfo=UTC)
JOBS = [
    ListJob(stream, Window(DAY + timedelta(days=n), DAY + timedelta(days=n + 1)))
    for n in range(20)
    for stream in (CHARGES, ORDERS)
]


def test_every_page_of_every_job_arrives_and_each_job_ends_once():
    def walk(stream, window):
        for n in range(3):
            yield Page([{"id": f"{stream.kind}{window.since_ms}{n}"}], [])

    listed = list(read_jobs(JOBS, walk, workers=4))
    assert sorted(str(item.job) for item in listed if item.page is None) == sorted(map(str, JOBS))
    assert len([item for item in listed if item.page]) == 3 * len(JOBS)


def test_the_end_of_a_job_comes_after_all_its_pages():
    def walk(stream, window):
        yield Page([{"id": "1"}], [])
        yield Page([{"id": "2"}], [])

    ended = set()
    for item in read_jobs(JOBS, walk, workers=4):
        if item.page is None:
            ended.add(item.job)
        else:
            assert item.job not in ended


def test_the_first_error_is_raised_and_the_other_jobs_stop():
    started = []

    def walk(stream, window):
        started.append(window)
        if len(started) == 2:
            raise CloverUnavailable("gone")
        while True:
            yield Page([{"id": "1"}], [])

    with pytest.raises(CloverUnavailable, match="gone"):
        list(read_jobs(JOBS, walk, workers=2))
    assert len(started) < len(JOBS)


def windows_of(days, rows_a_day, *, first=7, workers=4):
    """The windows in which a span is read where every day shows so many rows, per stream."""
    lengths = WindowLengths(timedelta(days=first))
    span = Window(DAY, DAY + timedelta(days=days))
    jobs = GrowingJobs({CHARGES: [span], ORDERS: [span]}, lengths)
    found = {CHARGES: [], ORDERS: []}

    def walk(stream, window):
        count = int((window.until - window.since) / timedelta(days=1) * rows_a_day)
        rows = [{"id": f"{window.since_ms}{n}", "created": window.since_ms} for n in range(count)]
        yield Page(rows, [])

    for item in read_jobs(jobs, walk, workers=workers):
        if item.page is None:
            found[item.job.stream].append(item.job.window)
    return {stream: sorted(windows, key=lambda window: window.since) for stream, windows in found.items()}


@pytest.mark.parametrize("rows_a_day", [0, 1, 40, 3_000])
@pytest.mark.parametrize("days", [0.25, 6, 28, 400])
def test_growing_windows_tile_the_span(days, rows_a_day):
    for windows in windows_of(days, rows_a_day).values():
        assert (windows[0].since, windows[-1].until) == (DAY, DAY + timedelta(days=days))
        assert all(a.until == b.since for a, b in pairwise(windows))
        assert max(window.until - window.since for window in windows) <= timedelta(days=89)


def test_windows_that_show_little_are_followed_by_longer_ones():
    days = [round((w.until - w.since) / timedelta(days=1)) for w in windows_of(400, 0)[CHARGES]]
    assert days.count(7) == days.count(14) == days.count(28) == 2
    assert len(days) <= 11


def test_windows_that_show_many_pages_are_followed_by_shorter_ones():
    lengths = sorted(w.until - w.since for w in windows_of(60, 1_000)[CHARGES])
    assert lengths[-1] == timedelta(days=7)
    assert lengths[len(lengths) // 2] == timedelta(days=1.75)  # 1,750 rows, less than 20 pages


@pytest.mark.parametrize("rows_a_day", [0, 5, 1_000])
def test_which_windows_are_asked_for_follows_from_the_rows_and_not_from_who_is_first(rows_a_day):
    one, four, nine = (windows_of(200, rows_a_day, workers=workers) for workers in (1, 4, 9))
    assert one == four == nine


def test_a_window_that_is_listed_again_stays_whole():
    again = Window(DAY + timedelta(days=10), DAY + timedelta(days=60))
    parts = [Window(DAY, again.since), again, Window(again.until, DAY + timedelta(days=70))]
    jobs = GrowingJobs({ORDERS: parts}, WindowLengths(timedelta(days=7)), [ListJob(ORDERS, again)])
    read = [i.job.window for i in read_jobs(jobs, lambda _s, _w: iter(()), workers=1) if i.page is None]
    assert again in read
    assert read[0] == Window(DAY, DAY + timedelta(days=7))


@pytest.mark.parametrize("workers", [1, 5])
def test_rows_without_a_time_are_shown_by_windows_as_short_as_the_first(workers):
    """They are dated by their window. A long window that meets one is read again in short ones, and shown once."""
    undated_from = DAY + timedelta(days=100)
    lengths = WindowLengths(timedelta(days=7))
    jobs = GrowingJobs({ORDERS: [Window(DAY, DAY + timedelta(days=150))]}, lengths)
    asked = []

    def walk(_stream, window):
        asked.append(window)
        for day in range(150):
            at = DAY + timedelta(days=day)
            if window.since <= at < window.until and at >= undated_from:
                yield Page([{"id": f"O{day}"}], [])

    shown, ended = [], []
    for item in read_jobs(jobs, walk, workers=workers):
        if item.page is None:
            ended.append(item.job.window)
        else:
            assert item.job.window.until - item.job.window.since <= timedelta(days=7)
            shown += [row["id"] for row in item.page.rows]
    assert sorted(shown) == sorted(f"O{day}" for day in range(100, 150))
    ended.sort(key=lambda window: window.since)
    assert (ended[0].since, ended[-1].until) == (DAY, DAY + timedelta(days=150))
    assert all(a.until == b.since for a, b in pairwise(ended))
    assert len(asked) > len(ended)
