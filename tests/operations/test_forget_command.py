"""A forgotten company is in no file of the store any more, and the search that proves it can find what is there."""

import gzip
import json
import sqlite3

import pytest

from connector.cli.entry import run
from connector.control.access_log import TABLES, Access, AccessLog
from connector.control.file import ControlFile
from connector.errors import ConfigError, StoreBusy
from connector.ledger.keep.forget_proof import search
from connector.schedule.after_runs import after_runs
from connector.schedule.forget_company import forget_company


@pytest.fixture
def shop(town, hook):
    """Two companies with sales; the first has been read by a lender, has alerts, and OAuth pairs."""
    here = town(2, alerts={"webhook_url": "https://hooks.example.com/x"})
    here.order_id = here.sell(0)
    here.other_order_id = here.sell(1)
    here.sync()
    here.sandbox.access.revoke(here.worlds[0])
    here.clock.advance(hours=1)
    report = here.sync()
    after_runs(here.config, here.store, report.runs, now=here.clock.now, send=hook)
    assert hook.events == ["connection.failed"]
    here.company = here.config.companies[0].id
    control = ControlFile(here.store.directory, TABLES)
    log = AccessLog(control, clock=here.clock.now)
    for n in range(3):
        log.add(
            Access(
                "2026-03-02T12:00:00Z", f"c{n}", "key-1", "GET", "/x", here.company, here.connection(0).id, None, 1, 1,
                200, 1.0, "203.0.113.9",
            )
        )  # fmt: skip
    log.close()
    control.close()
    (here.store.directory / "credentials").mkdir()
    for number in (0, 1):
        (here.store.directory / "credentials" / f"{here.connection(number).id}.fernet").write_bytes(b"sealed")
    dead = here.store.directory / "staging" / "20260101T000000-dead"
    dead.mkdir(parents=True)
    (dead / "staging.sqlite").write_text(here.order_id)
    return here


def forget(shop, company=None):
    return forget_company(shop.config, shop.store, company or shop.company, now=shop.clock.now())


def test_nothing_is_left_and_the_other_company_is_untouched(shop):
    words = [shop.company, shop.connection(0).id, "MERCHANT00000", shop.order_id]
    before = {trace.where.split(":")[0].split("-")[0] for trace in search(shop.store.directory, words)}
    assert {"work.duckdb", "control.sqlite"} <= before, "the search finds what is there"
    assert any(place.startswith("published/") for place in before)
    done = forget(shop)
    assert done.traces == ()
    assert shop.order_id in done.ids.words
    assert search(shop.store.directory, words) == []
    assert len(list(shop.store.directory.glob("published/0*/commerce.duckdb"))) == 1
    assert shop.rows("SELECT order_id FROM orders") == [(shop.other_order_id,)]
    assert shop.sync(kind="rebuild").runs[1].exit_code == 0
    assert (shop.store.directory / "credentials" / f"{shop.connection(1).id}.fernet").exists()


def test_how_often_it_was_read_is_all_that_is_kept_of_the_reading(shop):
    forget(shop)
    with sqlite3.connect(shop.store.directory / "control.sqlite") as control:
        assert control.execute("SELECT reads FROM forgotten_reads").fetchall() == [(3,)]
        assert control.execute("SELECT count(*) FROM access_log").fetchall() == [(0,)]


def test_a_company_that_is_being_read_is_not_forgotten(shop):
    with shop.store.run_lock(shop.connection(0).id), pytest.raises(StoreBusy):
        forget(shop)
    assert search(shop.store.directory, [shop.order_id])


def test_a_company_nobody_knows_is_an_error(shop):
    with pytest.raises(ConfigError, match="no company"):
        forget(shop, "nobody")


def test_the_search_finds_a_word_in_every_kind_of_file(tmp_path):
    import duckdb

    word = "WORD-TO-BE-FOUND"
    with gzip.open(tmp_path / "payload.jsonl.gz", "wb") as file:
        file.write(b"x" * (1 << 20) + word.encode())
    with sqlite3.connect(tmp_path / "control.sqlite") as control:
        control.execute("CREATE TABLE t (a TEXT)")
        control.execute("INSERT INTO t VALUES (?)", (f"x{word}y",))
    with duckdb.connect(str(tmp_path / "serve.duckdb")) as db:
        db.execute("CREATE TABLE t AS SELECT {'deep': [{'a': ?}]} AS s FROM range(5000)", [word])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f"{word}.lock").touch()
    (tmp_path / "across").write_bytes(b"x" * ((1 << 20) - 5) + word.encode())
    found = {trace.where.split(":")[0].split(" in ")[0] for trace in search(tmp_path, [word])}
    assert found == {"payload.jsonl.gz", "control.sqlite", "serve.duckdb", "the name of a file", "across"}
    assert search(tmp_path, ["ANOTHER-WORD"]) == []


@pytest.fixture
def connector(shop, tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(
        f"store: {shop.store.directory}\ncompanies: [{{name: Other, connections: [{{merchant_id: M, country: USA,"
        " timezone: UTC, start_date: 2026-01-01, token: some-token}]}]\n"
    )

    def call(*arguments):
        code = run(["--config", str(path), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_command_forgets_and_proves(shop, connector):
    code, out, _err = connector("forget", "--company", shop.company, "--yes", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["left"] == []
    assert document["removed"]["ledger.order_versions"] == 1
    assert document["removed"]["control.access_log"] == 3
    assert document["stillInConfig"] is False
    assert connector("forget", "--company", shop.company, "--yes")[0] == 2, "it is not known any more"


def test_the_command_asks_first(shop, connector, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _out, _err = connector("forget", "--company", shop.company)
    assert code == 130
    assert shop.rows("SELECT count(*) FROM orders") == [(2,)]
