"""Keys, webhooks, companies and refreshes are in PostgreSQL what they are in ``control.sqlite``: the same tests."""

from contextlib import closing
from datetime import timedelta

import pytest

from connector.config import FleetPlace
from connector.control.access_log import access_log_size, read_access_log, read_refused
from connector.control.forget import forget_in_control
from connector.control.keys import create_key, revoke_key
from connector.control.place import open_control
from connector.control.sessions import TABLES, begin_session, end_session, session_key
from tests.api.conftest import JUNIPER, NOW, books, published_file, serve  # noqa: F401 - fixtures
from tests.api.test_companies import (  # noqa: F401
    owner,
    test_a_company_is_made_changed_and_deleted_with_codats_codes,
    test_a_deleted_company_stays_deleted_though_the_configuration_still_names_it,
    test_changes_are_told_to_webhooks,
    test_unlinked_and_deauthorized_connections_still_serve_what_was_synced,
)
from tests.api.test_keys import (  # noqa: F401
    test_a_revoked_key_is_refused_at_once_and_an_expired_one_on_time,
    test_keys_are_listed_without_their_secret,
)
from tests.api.test_status import (  # noqa: F401
    test_a_refresh_waits_for_the_next_sync_and_is_answered_by_it,
    test_refreshing_all_is_a_204_and_asks_for_each_connection_once,
)
from tests.api.test_webhooks import (  # noqa: F401
    hook,
    test_a_delivery_is_tried_again_at_codats_times_and_then_given_up,
    test_a_finished_read_is_told_once_signed_and_in_codats_envelope,
    test_an_endpoint_that_fails_for_five_days_is_disabled_and_one_success_starts_anew,
    test_two_processes_send_a_delivery_once,
    test_webhooks_are_listed_without_secrets_and_deleted_with_204,
)


@pytest.fixture
def place(postgres_url, tmp_path):
    return FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "cache")


@pytest.fixture
def server(books, place):  # noqa: F811
    yield from serve(books, control=place)


def test_a_key_that_one_host_revokes_is_refused_by_all_at_their_next_request(server, place):
    with closing(open_control(place)) as elsewhere:
        key, secret = create_key(elsewhere, "lender", now=NOW)
        headers = {"Authorization": f"Bearer {secret}"}
        assert server.client.get("/companies", headers=headers).status_code == 200
        assert revoke_key(elsewhere, key.key_id, now=NOW)
        assert server.client.get("/companies", headers=headers).status_code == 401


def test_who_read_what_is_written_counted_and_forgotten(server, place):
    reader = server.key("read", companies=[JUNIPER])
    assert server.client.get(f"/companies/{JUNIPER}", headers=reader).status_code == 200
    assert server.client.get("/companies").status_code == 401
    server.state.access_log.flush()
    read = read_access_log(server.state.control, since="2000")
    assert [(one.company_id, one.status) for one in read] == [(JUNIPER, 200)]
    assert [(one.status, one.requests) for one in read_refused(server.state.control)] == [(401, 1)]
    size = access_log_size(place, since=NOW - timedelta(days=7))
    assert (size.rows, size.refused) == (1, 1)
    assert size.size > 0
    removed = forget_in_control(server.state.control, JUNIPER)
    assert (removed["access_log"], removed["companies"], removed["api_keys"]) == (1, 1, 1)
    assert read_access_log(server.state.control) == []


def test_a_session_of_the_portal_begun_on_one_host_goes_on_on_another(place):
    with closing(open_control(place, TABLES)) as one, closing(open_control(place, TABLES)) as other:
        token = begin_session(one, "key-1", now=NOW)
        assert session_key(other, token, now=NOW) == "key-1"
        end_session(other, token)
        assert session_key(one, token, now=NOW) is None
