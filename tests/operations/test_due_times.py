"""The heap of due times says what asking the planner about every connection would say, whatever happens."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from connector.schedule.due_times import DueTimes
from connector.schedule.planner import Job, LastRun, due, in_order, next_due

NOON = datetime(2026, 10, 24, 12, tzinfo=UTC)  # summer time ends in the following night
EXPRESSIONS = ["*/30 * * * *", "*/5 * * * *", "0 3 * * *", "30 2 * * *", "30 1 * * 0", None]
ZONES = ["UTC", "America/New_York", "Europe/Berlin"]


def asked_one_by_one(jobs, last, now, requested, leave):
    found = (
        due(job, last.get(job.connection_id), now, requested=requested.get(job.connection_id))
        for job in jobs
        if job.connection_id not in leave
    )
    return in_order((one for one in found if one is not None), last)


def next_one_by_one(jobs, last, now, leave):
    found = (
        next_due(job, last.get(job.connection_id), now) for job in jobs if job.connection_id not in leave
    )
    return min((moment for moment in found if moment is not None), default=None)


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_what_asking_every_connection_finds(seed):
    chance = random.Random(seed)
    times = DueTimes()
    jobs = {}
    last = {}
    now = NOON
    for _ in range(120):
        what = chance.random()
        if what < 0.2:
            name = f"c{chance.randrange(12)}"
            jobs[name] = Job(name, chance.choice(EXPRESSIONS), chance.choice(ZONES), timedelta(seconds=60))
        elif what < 0.25 and jobs:
            jobs.pop(chance.choice(list(jobs)))
        elif what < 0.6 and jobs:
            started = now + timedelta(seconds=chance.choice([-7200, -60, 0, 0, 0, 900]))
            status = chance.choice(["succeeded", "failed", "running"])
            last = dict(last)
            last[chance.choice(list(jobs))] = LastRun(
                started,
                None if status == "running" else started + timedelta(seconds=20),
                status,
                chance.choice(["clover", "config", "stopped"]) if status == "failed" else None,
                chance.randrange(4),
            )
        now += timedelta(seconds=chance.choice([1, 1, 30, 300, 1800, 40_000, -600]))
        requested = {
            name: now - timedelta(seconds=chance.choice([-5, 5])) for name in jobs if chance.random() < 0.1
        }
        leave = {name for name in jobs if chance.random() < 0.2}
        most = chance.randrange(4)
        times.set_jobs(jobs.values())
        times.set_last(last)
        expected = asked_one_by_one(jobs.values(), last, now, requested, leave)
        assert times.take(now, most=most, requested=requested, leave=leave) == expected[:most]
        assert times.next(now, leave=leave) == next_one_by_one(jobs.values(), last, now, leave)
