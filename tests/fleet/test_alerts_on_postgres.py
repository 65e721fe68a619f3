"""Alerts and companies kept as data are in PostgreSQL what they are in ``control.sqlite``: the same tests."""

import pytest

from connector.config import FleetPlace
from connector.schedule.alert_book import AlertBook
from tests.operations.conftest import hook  # noqa: F401 - a fixture
from tests.operations.test_alerts import (  # noqa: F401
    send,
    test_a_busy_or_stopped_run_is_no_failure_and_no_recovery,
    test_a_failure_is_told_once_and_so_is_its_end,
    test_alerts_of_a_connection_arrive_in_their_order,
    test_an_endpoint_that_fails_is_tried_again_later_with_the_same_id,
    test_an_endpoint_that_never_answers_is_given_up_after_a_day,
    test_failing_and_stale_end_in_one_message,
)


@pytest.fixture
def book(postgres_url, tmp_path):
    opened = AlertBook(FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "cache"))
    yield opened
    opened.close()
