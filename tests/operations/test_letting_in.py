"""`publish_to` through the command line: syncs, questions, reports, backup and removal know where the file is."""

import json

import duckdb
import pytest

from connector.cli.entry import run
from tests.operations.town import write_config


@pytest.fixture
def shop(today, tmp_path, capsys):
    """A shop with one sale, whose configuration lets analysts into a directory; and the command line over it."""
    here = today(1)
    here.sell(0)
    here.place = tmp_path / "analysts"
    here.config_path = write_config(here, tmp_path / "config.yaml", publish_to=str(here.place))

    def call(*arguments):
        capsys.readouterr()
        code = run(["--config", str(here.config_path), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    here.call = call
    return here


def analyst(shop):
    """Opened once and again after each sync, by the same words."""
    with duckdb.connect(str(shop.place / "commerce.duckdb"), read_only=True) as books:
        return books.execute("SELECT count(*), sum(total_amount) FROM commerce.main.orders").fetchone()


def findings(shop):
    _code, out, _err = shop.call("check", "--json")
    return {one["subject"]: (one["verdict"], one["text"]) for one in json.loads(out)["findings"]}


def test_every_command_finds_the_file_and_analysts_do_too(shop, tmp_path):
    assert "will be made" in findings(shop)["published"][1]
    code, out, _err = shop.call("sync")
    assert code == 0
    assert f"DuckDB file: {shop.place / 'commerce.duckdb'}" in out
    assert analyst(shop)[0] == 1
    told = findings(shop)
    assert told["published"][0] in ("ok", "warning"), (
        "a warning where tests keep their files for their owner alone"
    )
    assert str(shop.place / "commerce.duckdb") in told["store"][1]
    assert str(shop.place) in told["published file"][1]
    for command in (
        ["query", "SELECT * FROM monthly_sales"], ["status"], ["runs"], ["reconcile"],
        ["report", "--to", tmp_path / "reports"], ["export", "--to", tmp_path / "export"],
        ["backup", tmp_path / "backup.tar"],
    ):  # fmt: skip
        code, out, err = shop.call(*command)
        assert code == 0, (command, out, err)
    assert shop.call("restore", tmp_path / "backup.tar", "--to", tmp_path / "restored")[0] == 0
    assert analyst(shop)[0] == 1


def test_a_second_sync_and_a_rebuild_keep_the_place(shop):
    for number in (1, 2, 3, 4, 5):
        if number > 1:
            shop.worlds[0].sell(shop.clock.now(), [("Cup", 500)])
            shop.clock.advance(seconds=5)
        assert shop.call("sync")[0] == 0
        assert analyst(shop)[0] >= 1
    assert shop.call("rebuild")[0] == 0
    kept = [path for path in shop.place.iterdir() if path.is_dir()]
    assert len(kept) <= 4, "the last three, and one with blocks of its own"
    assert sorted(path.name for path in shop.store.directory.glob("*.duckdb")) == [
        "commerce.duckdb",
        "work.duckdb",
    ]


def test_a_forgotten_company_leaves_nothing_there(shop):
    assert shop.call("sync")[0] == 0
    company = shop.config.companies[0].id
    code, out, err = shop.call("forget", "--company", company, "--yes", "--json")
    assert (code, json.loads(out)["left"]) == (0, []), err
    assert analyst(shop)[0] == 0
