"""Connecting a merchant with OAuth: consent, encrypted tokens, renewal in mid-run, the end of a connection."""

import threading
from datetime import date, timedelta

import httpx
import pytest

from connector.clover.auth.credentials import ensure_key_file
from connector.config import Company, Config, Connection, OAuth
from connector.ledger import open_store
from connector.sandbox import World
from connector.sync.connect.authorizing import authorize_connection
from connector.sync.many import sync_all
from connector.sync.runtime import Runtime


@pytest.fixture
def shop(bench):
    """A bench's sandbox, and its configuration with oauth instead of a token."""

    def make(tmp_path, seed=None):
        world = World()
        made = bench(world=world)
        world.sell(made.now - timedelta(days=1))
        oauth = OAuth(client_id=made.sandbox.access.client_id, refresh_token=seed)
        connection = Connection(
            merchant_id=world.merchant.id,
            base_url=made.sandbox.base_url,
            country="USA",
            timezone="America/New_York",
            oauth=oauth,
            start_date=date(2026, 1, 1),
        )
        key = tmp_path / "connector.key"
        ensure_key_file(key)
        config = Config(
            store=str(tmp_path / "oauth"),
            key_file=key,
            companies=[Company(name="Juniper Goods", connections=[connection])],
            limits=made.config.limits,
        )
        return made, config, connection

    return make


def consent(url):
    """What the merchant's browser does: follow Clover's page back to the loopback address."""
    threading.Thread(target=lambda: httpx.get(url, follow_redirects=True), daemon=True).start()


def synced(config, at):
    return sync_all(Runtime.of(config, open_store(config.store), now=lambda: at)).runs[0]


def test_a_merchant_connects_in_the_browser_and_the_next_sync_works(shop, tmp_path):
    made, config, connection = shop(tmp_path)
    shown = []
    merchant = authorize_connection(
        config, connection, port=0, timeout=20, show=shown.append, open_browser=consent
    )
    assert merchant == connection.merchant_id
    assert "state=" in shown[0]
    run = synced(config, made.now)
    assert (run.status, run.orders_inserted) == ("succeeded", 1)


def test_tokens_are_stored_encrypted_and_readable_by_their_owner_only(shop, tmp_path):
    made, config, connection = shop(tmp_path)
    authorize_connection(config, connection, port=0, timeout=20, show=lambda _: None, open_browser=consent)
    tokens = [token for token in made.sandbox.access.grants if token != made.sandbox.token]
    files = [path for path in (tmp_path / "oauth" / "credentials").rglob("*") if path.is_file()]
    stored = b"".join(path.read_bytes() for path in files)
    assert tokens
    assert stored
    assert not any(token.encode() in stored for token in tokens)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_a_token_that_expires_is_renewed_and_the_run_goes_on(shop, tmp_path):
    made, config, connection = shop(tmp_path)
    authorize_connection(config, connection, port=0, timeout=20, show=lambda _: None, open_browser=consent)
    for token in list(made.sandbox.access.grants):
        if token != made.sandbox.token:
            made.sandbox.access.expire(token)
    run = synced(config, made.now)
    assert (run.status, run.orders_inserted) == ("succeeded", 1)


def test_a_dead_refresh_token_marks_the_connection_and_says_how_to_reconnect(shop, tmp_path):
    made, config, connection = shop(tmp_path, seed="clvroar-long-gone")
    run = synced(config, made.now)
    assert (run.status, run.error_kind) == ("failed", "authorisation")
    assert f"connector authorize --connection {connection.id}" in run.hint
    with open_store(config.store).open_reader() as reader:
        status = reader.connection.execute("SELECT status FROM ledger.connections").fetchall()
    assert status == [("Deauthorized",)]
