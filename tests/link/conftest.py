"""One lender's server for tests that each bring a company of their own."""

import pytest

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
