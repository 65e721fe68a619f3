"""One lender's server for tests that each bring a company of their own."""

import io
import logging

import pytest
import structlog

from connector.logs import configure_logging
from tests.link.lender import Lender, shop


@pytest.fixture(scope="session")
def lender(tmp_path_factory):
    made = Lender(tmp_path_factory.mktemp("lender"), [[shop(n) for n in range(12)]])
    yield made
    made.close()


@pytest.fixture
def own_lender(tmp_path):
    """For tests that move the clock, or look at everything there is."""
    made = []

    def begin(worlds=None, **more):
        lender = Lender(tmp_path, worlds or [[shop(n) for n in range(3)]], **more)
        made.append(lender)
        return lender

    yield begin
    for one in made:
        one.close()


@pytest.fixture
def log():
    """Everything the server logs, as JSON; the test's own HTTP client apart."""
    root, out = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    configure_logging("json", stream=out, verbose=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    yield out
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
