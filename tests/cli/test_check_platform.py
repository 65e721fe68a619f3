"""`connector check` on the platform API: what the token may read there, and where Clover contradicts config.yaml."""

import pytest

from connector.cli.check.platform import examine_platform
from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient
from connector.clover.http.pacing import Pacer
from connector.config import Config
from connector.sandbox import faults
from connector.sandbox.sandbox import Sandbox


@pytest.fixture
def sandbox():
    with Sandbox() as running:
        yield running


def findings(sandbox, platform="auto", **settings):
    merchant = {
        "merchant_id": sandbox.world.merchant.id, "base_url": sandbox.base_url, "token": sandbox.token,
        "country": "USA", "timezone": sandbox.world.merchant.timezone, "start_date": "2026-01-01", **settings,
    }  # fmt: skip
    config = Config.model_validate(
        {"store": "data", "companies": [{"name": "A", "connections": [{**merchant, "platform": platform}]}]}
    )
    company, connection = next(config.pairs())

    def client(one):
        return CloverClient(
            sandbox.base_url, StaticToken(sandbox.token, connection_id=one.id), pacer=Pacer(999, 5)
        )

    return [(one.verdict, one.text) for one in examine_platform(company, connection, client)]


def test_what_the_token_may_read_is_said(sandbox):
    (first, told), second = findings(sandbox)
    assert (first, second) == ("ok", ("ok", "customers readable"))
    assert sandbox.world.merchant.name in told
    assert sandbox.world.merchant.timezone in told


def test_a_time_zone_or_country_that_clover_contradicts_is_a_warning(sandbox):
    found = findings(sandbox, timezone="Pacific/Apia", country="CAN")
    warned = [text for verdict, text in found if verdict == "warning"]
    assert len(warned) == 2
    assert "Pacific/Apia" in warned[0]
    assert "CAN" in warned[1]


def test_a_platform_that_may_not_be_read_is_a_warning_and_no_failure(sandbox):
    sandbox.access.grant(sandbox.token, sandbox.world, platform=False)
    [(verdict, text)] = findings(sandbox)
    assert verdict == "warning"
    assert "work without" in text


def test_a_missing_permission_for_customers_is_a_warning(sandbox):
    sandbox.faults.always(faults.error(403), path="/v3/merchants/*/customers")
    assert [verdict for verdict, _ in findings(sandbox)] == ["ok", "warning"]


def test_where_it_is_off_only_its_presence_is_told(sandbox):
    [(verdict, text)] = findings(sandbox, platform="off")
    assert verdict == "ok"
    assert "platform: auto" in text
    sandbox.access.grant(sandbox.token, sandbox.world, platform=False)
    assert findings(sandbox, platform="off") == []
