"""Fixtures of the operations: a clock, towns, processes, and an endpoint for alerts."""

import json
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.operations.town import Clock, make_town, sandbox_of, worlds_of, write_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def process(town, tmp_path):
    """``process(town, *arguments)``: the command line in a process of its own, started; killed at the end."""
    started = []

    def start(here, *arguments, config=None, limit_file_size=None, **environment):
        config = config or write_config(here, tmp_path / "config.yaml")

        def before():
            if limit_file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_size, limit_file_size))

        one = subprocess.Popen(
            [sys.executable, "-m", "connector", "--config", str(config), *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT), "CONNECTOR_CONFIG": str(config)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )
        started.append(one)
        return one

    start.config = write_config
    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def town(tmp_path, clock):
    """Make a town: ``town(merchants, worlds=None, **settings)``."""
    sandboxes = []

    def make(merchants=2, *, worlds=None, sandbox=None, **settings):
        worlds = worlds or worlds_of(merchants)
        if sandbox is None:
            sandbox = sandbox_of(worlds)
            sandboxes.append(sandbox)
        return make_town(tmp_path, sandbox, worlds, clock, **settings)

    yield make
    for sandbox in sandboxes:
        sandbox.stop()


@pytest.fixture
def today(town, clock):
    """Make a town that lives now, as processes do; its shops opened the day before yesterday."""

    def make(merchants=1, **settings):
        clock.start = datetime.now(UTC)
        return town(merchants, start_date=clock.start.date() - timedelta(days=2), **settings)

    return make


class Hook:
    """An endpoint for alerts: what it received, and the statuses it will answer with (200 when none are left)."""

    def __init__(self):
        self.bodies, self.answers = [], []

    def __call__(self, url, text, _networks):
        self.bodies.append(json.loads(text))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def events(self):
        return [body["event"] for body in self.bodies]


@pytest.fixture
def hook():
    return Hook()
