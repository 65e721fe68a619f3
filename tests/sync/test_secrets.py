"""Secrets and personal data are planted in all that Clover says, every command is run, all that is written is searched.

Tokens may stand nowhere but encrypted. Card numbers and personal data may stand where Clover's own words are kept
(``raw``, for the owner only); names, e-mails and telephones of customers also in the tables that are published for
them. No log line, error, traceback, file name or other table may hold any.
"""

import base64
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from connector.api.app import create_app
from connector.api.state import ApiSettings
from connector.cli.entry import run
from connector.clover.http import pacing
from connector.sandbox import faults
from connector.sandbox.answers import Answer
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shapes import Shapes
from connector.sandbox.world import World

TOKEN = "9f1c4d2e-7b3a-4c55-8e11-5d6f7a8b9c0d"
CARD, SPACED_CARD, CVV = "4111111111111111", "5500 0055 5555 5559", "CVV-90210-CVV"
EMAIL, ORDER_EMAIL = "quentin.zebulon@example.com", "zebulon.receipts@example.org"
FIRST, LAST, PHONE, STREET = "Quentinella", "Zebulonovic", "6175550199", "77 Wintergreen Mews"
PERSON = (EMAIL, ORDER_EMAIL, FIRST, LAST, PHONE, STREET)
CARDS = (CARD, SPACED_CARD, CVV)
# What analysts and lenders are given about customers, by table and column.
PUBLISHED_FOR_CUSTOMERS = {
    ("record_versions", "doc"),
    ("record_versions", "name"),
    ("order_versions", "customer_name"),
    ("order_versions", "doc"),
}
ECHO = f"no: Bearer {TOKEN} of {FIRST} {LAST} <{EMAIL}>, {PHONE}, card {CARD} / {SPACED_CARD} {CVV}, {STREET}"


class LeakyClover(Sandbox):
    """Sends back whatever it was sent and whatever it knows: in records, error bodies, and headers of every answer."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.tokens = set()

    def _exchange(self, request):
        answer, fault, done = super()._exchange(request)
        bearer = self.access.bearer(request)
        self.tokens |= {bearer} if bearer else set()
        found = json.loads(answer.body) if answer.body.startswith((b"{", b"[")) else None
        if request.path.startswith("/oauth"):
            if isinstance(found, dict):
                self.tokens |= {found[name] for name in ("access_token", "refresh_token") if name in found}
        elif answer.status >= 400:
            said = {
                "message": f"{answer.status} {ECHO}",
                "error": {"code": "x", "message": f"{ECHO} {bearer}"},
            }
            answer = Answer(answer.status, json.dumps(said).encode(), headers=answer.headers)
        elif isinstance(found, dict):
            for row in found.get("data", [found]):
                if isinstance(row, dict) and row.get("object") != "refund":
                    _leak(row)
            answer = Answer(answer.status, json.dumps(found).encode(), headers=answer.headers)
        headers = (*answer.headers, ("x-echo", ECHO), ("x-token", bearer))
        return Answer(answer.status, answer.body, answer.content_type, headers), fault, done


def _leak(row):
    """A record as careless software fills it in: cards in free text, and who paid, all over."""
    row["description"] = f"phone order, card {CARD}, {EMAIL}"
    row["source"] = {
        **(row.get("source") or {}),
        "number": CARD,
        "cvv": CVV,
        "name": f"{FIRST} {LAST}",
        "brand": "VISA",
    }
    row["receipt_email"] = EMAIL
    row["metadata"] = {"note": f"{FIRST} {LAST}, {PHONE}, {SPACED_CARD}"}
    row["billing_details"] = {
        "name": f"{FIRST} {LAST}", "email": EMAIL, "phone": PHONE, "address": {"line1": STREET, "city": "Boston"},
    }  # fmt: skip
    row["warning_message"] = f"{CARD} was declined for {EMAIL}"
    for item in row.get("items") or ():
        if isinstance(item, dict) and item.get("type") in (None, "sku"):
            item["notes"] = f"for {EMAIL} {SPACED_CARD}"


class Everything:
    """What was printed and logged so far, with the names of the commands, to say which one leaked."""

    def __init__(self, capfd):
        self.capfd = capfd
        self.printed = []

    def run(self, *arguments):
        code = run(list(arguments))
        out, err = self.capfd.readouterr()
        self.printed.append((" ".join(arguments), out, err))
        return code


@pytest.fixture
def clover():
    world = World()
    # Ahead of the clock of the machine nothing is read: the shop's events lie in the days before now.
    opened = datetime.now(UTC).replace(microsecond=0) - timedelta(days=4)
    customer = world.add_customer(opened, FIRST, LAST, email=EMAIL, phone=PHONE)
    for number in range(6):
        world.sell(opened + timedelta(hours=1 + number), [("Teapot", 4900 + number)], customer=customer)
    world.refund(opened + timedelta(hours=9), world.books.order_ids()[0], 500)
    world.opened = opened
    with LeakyClover({TOKEN: world}, shapes=Shapes()) as sandbox:
        yield sandbox


@pytest.fixture
def place(tmp_path, monkeypatch, clover):
    """A directory with a config of two companies: one with a token, one with OAuth."""
    pair = clover.access.pair(clover.world)
    clover.tokens |= {pair["access_token"], pair["refresh_token"], clover.access.client_secret, TOKEN}
    merchant = {
        "merchant_id": clover.world.merchant.id, "base_url": clover.base_url, "country": "USA",
        "timezone": "America/New_York", "start_date": (clover.world.opened - timedelta(days=2)).date().isoformat(),
        "platform": "auto",
    }  # fmt: skip
    oauth = {
        "client_id": clover.access.client_id, "client_secret": "${APP_SECRET}", "refresh_token": "${REFRESH}",
        "token_url": f"{clover.base_url}/oauth/v2/token", "refresh_url": f"{clover.base_url}/oauth/v2/refresh",
    }  # fmt: skip
    config = {
        "store": "data",
        "limits": {"requests_per_second": 9000, "app_requests_per_second": 9000},
        "key_file": "key",
        "companies": [
            {"name": "Token", "connections": [{**merchant, "token": "${CLOVER_TOKEN}"}]},
            {"name": "OAuth", "connections": [{**merchant, "environment": "sandbox", "oauth": oauth}]},
        ],
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOVER_TOKEN", TOKEN)
    monkeypatch.setenv("APP_SECRET", clover.access.client_secret)
    monkeypatch.setenv("REFRESH", pair["refresh_token"])
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)
    # Pauses between attempts take no time.
    monkeypatch.setattr(pacing.AppPacer, "sleep", lambda _self, _seconds: None)
    return tmp_path


def break_the_mapping(monkeypatch):
    """A bug of ours that quotes the order it met, and the token, in its words; and one more in its cause."""

    def broken(group, *_args, **_options):
        try:
            raise KeyError(ECHO)
        except KeyError as cause:
            raise ValueError(f"{ECHO} {group!r}") from cause

    monkeypatch.setattr("connector.sync.map.batch.map_order", broken)


@pytest.mark.slow
def test_nothing_planted_is_found_where_it_must_not_be(place, clover, capfd, monkeypatch):
    seen = Everything(capfd)
    for log_format in ("json", "console"):
        assert seen.run("--log-format", log_format, "--verbose", "sync") == 0
    assert seen.run("check") in (0, 1, 3)
    for command in (["status"], ["runs"], ["reconcile"], ["sync", "--full", "--dry-run"]):
        seen.run(*command)
        seen.run(*command, "--json")
    bad = clover.world.charge_ids(clover.world.books.order_ids()[1])[0]
    failures = {
        "500 that echoes": faults.error(500),
        "401 that echoes": faults.error(401),
        "403 that echoes": faults.error(403),
        "cut JSON": faults.truncated(),
        "HTML": faults.html(),
        "poisoned": faults.poison("amount"),
        "without id": faults.poison("no_id"),
        "too many": faults.error(429, retry_after=0.01),
        "no such question": faults.error(400),
    }
    codes = {}
    for number, (name, fault) in enumerate(failures.items()):
        clover.faults.clear()
        clover.faults.always(fault, path="/v1/*")
        log_format = ("json", "console")[number % 2]
        codes[name] = seen.run("--log-format", log_format, "--verbose", "sync", "--full", "--json")
        seen.run("check", "--json")
    assert all(codes.values()), f"a failure went unnoticed: {codes}"
    clover.faults.clear()
    clover.faults.always(faults.error(500), path=f"/v1/charges/{bad}")
    seen.run("resync", "--since", "2020-01-01", "--stream", "charges")
    clover.faults.clear()
    with monkeypatch.context() as patch:
        break_the_mapping(patch)
        for options in ((), ("--verbose", "--log-format", "console"), ("--verbose", "--log-format", "json")):
            assert seen.run(*options, "sync", "--full") == 1
    assert "ValueError" in seen.printed[-1][2], "the bug was not met"
    seen.run("query", f"SELECT * FROM nowhere WHERE x = '{TOKEN}'")
    seen.run("--verbose", "query", "SELECT no_such_column FROM source_records")
    seen.run("query", "SELECT * FROM source_records", "--json")
    run_id = ask(place, "SELECT min(run_id) FROM sync_runs WHERE status = 'failed'")
    seen.run("runs", "show", run_id)
    seen.run("runs", "show", run_id, "--json")
    seen.run("keys", "create", "--label", "A lender", "--company", company_of(place))
    key = re.search(r"cck_\S+", seen.printed[-1][1])[0]
    ask_the_api(seen, place, key)
    assert seen.run("backup", str(place / "backup"), "--json") == 0
    assert (place / "backup").stat().st_mode & 0o777 == 0o600

    assert len(clover.tokens) >= 4, "OAuth was not used"
    for command, out, err in seen.printed:
        # The caller's own question may be quoted back to the caller, on the terminal only.
        secrets = clover.tokens - ({TOKEN} if TOKEN in command else set())
        for text in secrets | set(CARDS) | set(PERSON):
            assert text not in out + err, f"{text!r} was printed by: connector {command}"
    for text in {*clover.tokens, *CARDS, *PERSON}:
        for path in place.rglob("*"):
            assert text not in str(path.relative_to(place)), f"{text!r} is in the name of {path}"
    met = set()
    for path, place_in_it, content in everything_written(place):
        tokens = [token for token in {*clover.tokens, key} if token in content]
        assert not tokens, f"{tokens} in {path} {place_in_it}"
        if path.parent.parent.name != "raw":
            assert not [card for card in CARDS if card in content], f"a card in {path} {place_in_it}"
            # A backup holds the same tables; it is one file, which its owner alone can read.
            people = [word for word in PERSON if word in content]
            if path.name != "backup" and place_in_it not in PUBLISHED_FOR_CUSTOMERS:
                assert not people, f"a person in {path} {place_in_it}"
            met |= {place_in_it} if people else set()
    assert {("record_versions", "doc"), ("order_versions", "customer_name")} <= met, (
        "the search finds nothing"
    )


def ask(place, sql):
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{place / 'data' / 'commerce.duckdb'}' AS published (READ_ONLY)")
        return database.execute(sql.replace("FROM ", "FROM published.")).fetchone()[0]


def company_of(place):
    return ask(place, "SELECT min(company_id) FROM sync_runs")


def ask_the_api(seen, place, key):
    """Answers and log lines of the read API, good ones and refused ones."""

    async def no_pause(_seconds):
        return None

    company = company_of(place)
    client = TestClient(
        create_app(ApiSettings(directory=place / "data", sleep=no_pause)), raise_server_exceptions=False
    )
    right = {"Authorization": "Basic " + base64.b64encode(key.encode()).decode()}
    paths = [
        "/companies",
        f"/companies/{company}",
        f"/companies/{company}/nothing",
        "/companies?query=nonsense%%",
    ]
    for path in paths:
        for headers in (right, {"Authorization": f"Bearer {TOKEN}x"}, {}):
            answer = client.get(path, headers=headers)
            seen.printed.append((f"GET {path}", answer.text, str(dict(answer.headers))))
    seen.printed.append(("the API's log", *seen.capfd.readouterr()))


def everything_written(place):
    """(file, (table, column) or "", text) of all that lies under the directory, with archives and databases opened."""
    for path in sorted(place.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.name == "config.yaml":
            continue
        raw = path.read_bytes()
        # What a database holds is read as its tables, with the log beside it.
        yield path, "", "" if path.name.endswith((".duckdb", ".duckdb.wal")) else raw.decode("latin-1")
        if path.suffix == ".gz":
            yield path, "", zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(raw).decode("utf-8", "replace")
        elif path.suffix == ".duckdb":
            yield from tables_of(path)


def tables_of(path):
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{path}' AS found (READ_ONLY)")
        tables = database.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'found' ORDER BY ALL"
        ).fetchall()
        for schema, table in tables:
            whole = f'found."{schema}"."{table}"'
            for name in database.sql(f"SELECT * FROM {whole}").columns:
                rows = database.execute(f'SELECT "{name}"::VARCHAR FROM {whole}').fetchall()
                yield path, (table, name), "\n".join(str(row[0]) for row in rows)


def test_raw_payloads_are_for_their_owner_only(place, clover, capfd):
    """They hold what Clover said, word by word: the directory keeps everybody else out."""
    assert Everything(capfd).run("sync") == 0
    parts = list((place / "data" / "raw").rglob("*.gz"))
    assert parts
    assert {path.stat().st_mode & 0o777 for path in parts} == {0o600}
    folders = {path.parent for path in parts} | {place / "data" / "raw", place / "data"}
    assert {path.stat().st_mode & 0o077 for path in folders} == {0}
    assert any(CARD in text for path, _, text in everything_written(place) if Path(path).suffix == ".gz")
