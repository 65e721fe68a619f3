"""Pairs are renewed once for all, stored before they are used, and never shown."""

import logging
import os
import stat
import threading

import httpx
import orjson
import pytest
from cryptography.fernet import Fernet

from connector.clover.auth.credentials import EncryptedCredentials, ensure_key_file, load_keys
from connector.clover.auth.oauth import OAuthToken, TokenPair, save_pair
from connector.errors import CloverError, CloverUnavailable, ConfigError, Deauthorized, StoreError

NOW = 1795305600.0
KEY = Fernet.generate_key().decode()
URL = "https://api.example.com/oauth/v2/refresh"


class OAuthServer:
    """Each refresh token is good once; tokens live for half an hour."""

    def __init__(self, first="refresh-0", now=lambda: NOW):
        self.valid = {first}
        self.count = 0
        self.now = now
        self.bodies = []
        self.failures = []
        self.before_answer = lambda: None

    def __call__(self, request):
        body = orjson.loads(request.content)
        self.bodies.append(body)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        if body.get("refresh_token") not in self.valid:
            return httpx.Response(401, json={"message": "401 Unauthorized"})
        self.valid.remove(body["refresh_token"])
        self.count += 1
        self.valid.add(f"refresh-{self.count}")
        self.before_answer()
        return httpx.Response(
            200,
            json={
                "access_token": f"access-{self.count}",
                "access_token_expiration": int(self.now()) + 1800,
                "refresh_token": f"refresh-{self.count}",
                "refresh_token_expiration": int(self.now()) + 31536000,
            },
        )


class Time:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def now():
    return Time()


@pytest.fixture
def store(tmp_path):
    return EncryptedCredentials(tmp_path / "credentials", [KEY])


def source(store, server, now, seed="refresh-0"):
    return OAuthToken(
        "conn-1",
        store,
        client_id="APP",
        refresh_url=URL,
        seed=seed,
        transport=httpx.MockTransport(server),
        sleep=lambda _s: None,
        now=now,
    )


def test_the_first_token_comes_from_the_configured_refresh_token(store, now):
    server = OAuthServer()
    assert source(store, server, now).current() == "access-1"
    assert server.bodies == [{"client_id": "APP", "refresh_token": "refresh-0"}]


def test_a_token_is_used_until_shortly_before_its_end_in_seconds(store, now):
    server = OAuthServer(now=now)
    token = source(store, server, now)
    assert token.current() == "access-1"
    now.now += 1600
    assert token.current() == "access-1"
    now.now += 100
    assert token.current() == "access-2"
    assert server.bodies[-1]["refresh_token"] == "refresh-1"


def test_another_process_takes_up_the_stored_pair(store, now):
    server = OAuthServer()
    source(store, server, now).current()
    assert source(store, server, now).current() == "access-1"
    assert server.count == 1


def test_many_threads_with_the_same_refusal_refresh_once(store, now):
    server = OAuthServer()
    token = source(store, server, now)
    rejected = token.current()
    found = []
    threads = [threading.Thread(target=lambda: found.append(token.refresh(rejected))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {"access-2"}
    assert server.count == 2


def test_two_processes_with_the_same_refusal_refresh_once(store, now):
    server = OAuthServer()
    one, two = source(store, server, now), source(store, server, now)
    rejected = one.current()
    assert two.current() == rejected
    assert one.refresh(rejected) == "access-2"
    assert two.refresh(rejected) == "access-2"
    assert server.count == 2


def test_the_new_pair_is_on_disk_before_it_is_handed_out(store, now, monkeypatch):
    """A crash right after the answer must not lose the only refresh token that still works."""
    server = OAuthServer()
    token = source(store, server, now)
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), fsync(file)))
    assert token.current() == "access-1"
    assert synced
    assert store.load("conn-1")["refresh_token"] == "refresh-1"


def test_a_disk_that_cannot_be_written_is_found_out_before_the_refresh_token_is_spent(
    store, now, monkeypatch
):
    server = OAuthServer()

    def fail(*_):
        raise StoreError("No space left")

    monkeypatch.setattr(EncryptedCredentials, "save", fail)
    with pytest.raises(StoreError):
        source(store, server, now).current()
    assert server.bodies == []


def test_a_dead_refresh_token_says_which_command_comes_next(store, now):
    with pytest.raises(Deauthorized) as error:
        source(store, OAuthServer(), now, seed="refresh-gone").current()
    assert "connector authorize --connection conn-1" in error.value.hint


def test_no_refresh_token_at_all_says_the_same(store, now):
    with pytest.raises(Deauthorized) as error:
        source(store, OAuthServer(), now, seed=None).current()
    assert "connector authorize --connection conn-1" in error.value.hint


def test_a_refresh_token_newly_written_into_the_configuration_goes_first(store, now):
    source(store, OAuthServer(), now).current()
    server = OAuthServer(first="refresh-repaired")
    assert source(store, server, now, seed="refresh-repaired").current() == "access-1"
    assert server.bodies[0]["refresh_token"] == "refresh-repaired"


def test_a_pair_from_authorize_is_used_without_any_configured_token(store, now):
    save_pair(store, "conn-1", TokenPair("access-a", "refresh-a", NOW + 1800, None, NOW))
    server = OAuthServer(first="refresh-a")
    token = source(store, server, now, seed=None)
    assert token.current() == "access-a"
    assert token.refresh("access-a") == "access-1"


def test_a_wrong_clock_does_not_burn_refresh_tokens(store, now):
    """This machine is a day ahead, so every new token looks expired."""
    server = OAuthServer(now=lambda: NOW - 86_400)
    token = source(store, server, now)
    assert [token.current() for _ in range(5)] == ["access-1"] * 5
    assert server.count == 1


@pytest.mark.parametrize("failure", [httpx.ConnectError("x"), httpx.Response(503), httpx.Response(429)])
def test_a_passing_failure_is_tried_again(store, now, failure):
    server = OAuthServer()
    server.failures = [failure]
    assert source(store, server, now).current() == "access-1"


def test_a_lasting_failure_is_not_taken_for_a_refusal(store, now):
    server = OAuthServer()
    server.failures = [httpx.Response(503)] * 50
    with pytest.raises(CloverUnavailable):
        source(store, server, now).current()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"access_token": 5}', b'{"access_token": "a\\nb"}']
)
def test_an_answer_without_a_token_is_an_error(store, now, body):
    server = OAuthServer()
    server.failures = [httpx.Response(200, content=body)]
    with pytest.raises(CloverError, match="without a token"):
        source(store, server, now).current()


def test_expirations_in_milliseconds_are_seen_through(store, now):
    save_pair(store, "conn-1", TokenPair("access-a", "refresh-0", (NOW + 60) * 1000, None, NOW - 1000))
    assert source(store, OAuthServer(), now).current() == "access-1"


def test_nothing_is_stored_or_shown_in_the_clear(store, now, tmp_path, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    token = source(store, OAuthServer(), now)
    token.current()
    with pytest.raises(Deauthorized) as error:
        source(store, OAuthServer(first="other"), now).refresh("access-1")
    stored = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    shown = "".join([repr(token), repr(store), str(error.value), caplog.text, *capsys.readouterr()])
    shown += repr(TokenPair("access-1", "refresh-1"))
    for secret in ("access-1", "refresh-1", "refresh-0", KEY):
        assert secret.encode() not in stored
        assert secret not in shown


def test_files_are_private_and_replaced_whole(store, tmp_path):
    store.save("conn-1", {"a": 1})
    store.save("conn-1", {"a": 2})
    folder = tmp_path / "credentials"
    assert [path.name for path in folder.iterdir()] == ["conn-1.fernet"]
    assert stat.S_IMODE((folder / "conn-1.fernet").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_missing_or_wrong_key_says_so(store, tmp_path):
    store.save("conn-1", {"a": 1})
    other = EncryptedCredentials(tmp_path / "credentials", [Fernet.generate_key().decode()])
    with pytest.raises(ConfigError, match="cannot be opened"):
        other.load("conn-1")
    with pytest.raises(ConfigError, match="no key"):
        EncryptedCredentials(tmp_path, [])
    with pytest.raises(ConfigError, match="no key") as error:
        EncryptedCredentials(tmp_path, ["not-a-key"])
    assert "not-a-key" not in str(error.value)


def test_keys_can_be_changed(store, tmp_path):
    store.save("conn-1", {"a": 1})
    new = Fernet.generate_key().decode()
    both = EncryptedCredentials(tmp_path / "credentials", [new, KEY])
    both.save("conn-1", both.load("conn-1"))  # as the next refresh does
    assert EncryptedCredentials(tmp_path / "credentials", [new]).load("conn-1") == {"a": 1}


def test_keys_come_from_the_environment_or_a_private_file(tmp_path):
    key_file = tmp_path / "keys" / "connector.key"
    assert load_keys(key_file, environ={}) == []
    assert ensure_key_file(key_file) is True
    assert ensure_key_file(key_file) is False
    (key,) = load_keys(key_file, environ={})
    Fernet(key)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert load_keys(key_file, environ={"CONNECTOR_KEY": f"{KEY}, {key}"}) == [KEY, key]
    key_file.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        load_keys(key_file, environ={})
