"""Days in the life of a town with faults, kills and outages: books agree in the end, every alert was told once."""

import pytest

from tests.operations.soak import Soak

pytestmark = pytest.mark.slow


def test_after_days_of_trouble_books_agree_and_every_alert_was_told_once(town):
    here = town(3, alerts={"webhook_url": "https://hooks.example.com/x"})
    soak = Soak(here, seed=1, sales_a_day=20)
    soak.live(days=1)
    told = soak.check()
    assert soak.kills > 3
    assert soak.outages > 0
    assert soak.runs > 3 * 24
    assert soak.endpoint.refused > 0
    assert told["connection.failed"] > 3
    assert told["connection.stale"] >= 3
    assert here.rows("SELECT count(*) FROM orders")[0][0] > 40
