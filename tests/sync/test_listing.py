from datetime import UTC, datetime, timedelta

import pytest

from connector.clover.lists.pages import Page
from connector.clover.lists.streams import CHARGES, ORDERS
from connector.clover.lists.window import Window
from connector.errors import CloverUnavailable
from connector.sync.read.listing import ListJob, read_jobs

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
