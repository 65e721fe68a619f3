"""Companies kept as data: every command treats them as it treats those of config.yaml, and sees them come and go."""

import csv
import json
from contextlib import closing
from datetime import UTC, datetime

import pytest
import yaml

from connector.cli.entry import run
from connector.config import Company, load_config
from connector.control.companies import delete_company, set_connection_status
from connector.control.kept import NEEDED, keep_companies, kept_companies, kept_version, with_kept
from connector.control.place import open_control
from connector.errors import ConfigError
from connector.schedule.scheduler import Scheduler
from tests.operations.town import write_config

HEAD = "name", "merchant_id", "timezone", "country", "start_date", "schedule", "base_url", "credential"


def row_of(here, number, **changes):
    one = here.connection(number)
    values = (
        f"Kept {number}", one.merchant_id, one.timezone, one.country, str(one.start_date), "0 * * * *",
        one.base_url, f"env:KEPT_TOKEN_{number}",
    )  # fmt: skip
    return dict(zip(HEAD, values, strict=True)) | changes


def written(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def shop(town, tmp_path, capsys, monkeypatch):
    """Three merchants, the first in config.yaml; ``call`` is the command line."""
    here = town(3)
    config = write_config(here, tmp_path / "config.yaml")
    document = yaml.safe_load(config.read_text())
    document["companies"] = document["companies"][:1]
    config.write_text(yaml.safe_dump(document))
    for number in (1, 2):
        monkeypatch.setenv(f"KEPT_TOKEN_{number}", f"token-of-merchant-{number}")

    def call(*arguments, code=0, out=None):
        given = run(["--config", str(config), *map(str, arguments)])
        said, err = capsys.readouterr()
        assert given == code, (arguments, said, err)
        return said if out or code == 0 else err

    here.call, here.path = call, config
    return here


def imported(here, tmp_path, *rows):
    return here.call("companies", "import", written(tmp_path / "merchants.csv", rows))


def test_kept_companies_are_synced_listed_checked_and_forgotten_as_those_of_the_file(
    shop, tmp_path, monkeypatch
):
    imported(shop, tmp_path, row_of(shop, 1), row_of(shop, 2))
    for number in range(3):
        shop.sell(number)
    report = json.loads(shop.call("sync", "--json"))
    assert [one["status"] for one in report["runs"]] == ["succeeded"] * 3
    assert shop.rows("SELECT count(*) FROM orders") == [(3,)]

    listed = json.loads(shop.call("connections", "--json"))["connections"]
    assert [(one["companyName"], one["origin"], one["status"], one["whyNot"]) for one in listed] == [
        ("Company 0", "config", "Linked", None),
        ("Kept 1", "kept", "Linked", None),
        ("Kept 2", "kept", "Linked", None),
    ]
    assert all(one["lastSuccess"] for one in listed)
    companies = json.loads(shop.call("companies", "list", "--json"))["companies"]
    assert [(one["companyName"], one["origin"], one["connections"]) for one in companies] == [
        ("Company 0", "config", 1), ("Kept 1", "kept", 1), ("Kept 2", "kept", 1),
    ]  # fmt: skip
    status = json.loads(shop.call("status", "--json"))["connections"]
    assert {one["companyName"] for one in status} == {"Company 0", "Kept 1", "Kept 2"}
    for table in (shop.call("companies", "list"), shop.call("connections"), shop.call("status")):
        assert "Kept 2" in table
    monkeypatch.setenv("KEPT_TOKEN_2", "wrong")
    findings = json.loads(shop.call("check", "--json", code=1, out=True))["findings"]
    refused = {one["subject"] for one in findings if one["verdict"] == "failed"}
    assert any("MERCHANT00002" in subject for subject in refused)
    assert not any("MERCHANT00001" in subject for subject in refused)

    forgotten = json.loads(shop.call("forget", "--company", "Kept 1", "--yes", "--json"))
    assert (forgotten["left"], forgotten["stillInConfig"]) == ([], False)
    assert "Kept 1" not in shop.call("companies", "list")
    monkeypatch.setenv("KEPT_TOKEN_2", "token-of-merchant-2")
    shop.call("sync")
    assert shop.rows("SELECT count(*) FROM orders") == [(2,)]


def test_disabled_companies_are_not_read_and_not_stale_until_they_are_enabled_again(shop, tmp_path):
    imported(shop, tmp_path, row_of(shop, 1))
    shop.call("companies", "disable", "Kept 1")
    runs = json.loads(shop.call("sync", "--json"))["runs"]
    assert len(runs) == 1
    assert "disabled" in shop.call("sync", "--company", "Kept 1", code=2)
    status = {one["companyName"]: one for one in json.loads(shop.call("status", "--json"))["connections"]}
    assert (status["Kept 1"]["lastRun"], status["Kept 1"]["nextRun"]) == (None, None)
    (why,) = [
        one["whyNot"]
        for one in json.loads(shop.call("connections", "--not-read", "--json"))["connections"]
        if one["companyName"] == "Kept 1"
    ]
    assert why.startswith("disabled")
    shop.call("companies", "enable", "Kept 1")
    assert len(json.loads(shop.call("sync", "--json"))["runs"]) == 2
    assert "enabled: false" in shop.call("companies", "disable", "Company 0", code=2)


def test_an_import_is_all_or_nothing_and_may_be_repeated(shop, tmp_path):
    wrong = [
        row_of(shop, 1),
        row_of(shop, 2, country="US", timezone="EST"),
        row_of(shop, 2, credential="s3cret-t0ken"),
    ]
    err = shop.call("companies", "import", written(tmp_path / "wrong.csv", wrong), code=2)
    assert "line 3: country: 'US' has two letters" in err
    assert "timezone" in err
    assert "line 4: credential: must be env:NAME" in err
    assert "s3cret" not in err
    assert kept_companies(shop.store.directory) == []
    assert imported(shop, tmp_path, row_of(shop, 1), row_of(shop, 2)).startswith("2 connection(s) added")
    said = imported(shop, tmp_path, row_of(shop, 1), row_of(shop, 2, schedule="5 * * * *"))
    assert said.startswith("0 connection(s) added, 1 changed, 1 as they were")
    as_json = tmp_path / "merchants.json"
    as_json.write_text(json.dumps([row_of(shop, 2, enabled=False)]))
    assert shop.call("companies", "import", as_json).startswith("0 connection(s) added, 1 changed")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tokn": "x"}, r"tokn is not a column; did you mean"),
        ({"token": "s3cret"}, "token is a secret; write a column credential"),
        ({"credential": ""}, "credential is missing"),
        ({"merchant_id": ""}, "merchant_id is missing"),
        ({"start_date": "01/02/2024"}, "start_date must be a date"),
        ({"company_id": "no good"}, "company_id must be letters"),
        ({"schedule": "every day"}, "is not a cron expression"),
        ({"name": ""}, "name is missing"),
    ],
)
def test_a_wrong_row_says_what_to_write(shop, tmp_path, changes, expected):
    err = shop.call("companies", "import", written(tmp_path / "m.csv", [row_of(shop, 1, **changes)]), code=2)
    assert expected in err
    assert "line 2" in err
    assert "s3cret" not in err


def test_the_same_id_in_the_file_and_kept_is_refused_by_both_ways_in(shop, tmp_path):
    ours = shop.connection(0)
    err = shop.call("companies", "import", written(tmp_path / "m.csv", [row_of(shop, 0)]), code=2)
    assert "is in the configuration and is kept as data as well" in err
    imported(shop, tmp_path, row_of(shop, 1))
    document = yaml.safe_load(shop.path.read_text())
    row = {name: value for name, value in row_of(shop, 1).items() if name != "name"}
    document["companies"].append({"id": "another", "name": "Twice", "connections": [row]})
    shop.path.write_text(yaml.safe_dump(document))
    err = shop.call("status", code=2)
    assert shop.connection(1).id in err
    assert "take it out of config.yaml" in err
    assert ours.id not in err


def test_a_credential_that_is_not_there_fails_that_connection_alone_and_is_named(shop, tmp_path, monkeypatch):
    secret = tmp_path / "token"
    secret.write_text("token-of-merchant-2\n")
    imported(shop, tmp_path, row_of(shop, 1), row_of(shop, 2, credential=f"file:{secret}"))
    monkeypatch.delenv("KEPT_TOKEN_1")
    err = shop.call("sync", code=3)
    told = json.loads(shop.call("connections", "--json"))["connections"]
    assert "KEPT_TOKEN_1" in err or any("KEPT_TOKEN_1" in (one["whyNot"] or "") for one in told)
    assert any("KEPT_TOKEN_1 is not set" in (one["whyNot"] or "") for one in told)
    shop.call("sync", "--company", "Kept 2")


def test_what_was_deleted_through_the_api_keeps_its_id(shop, tmp_path):
    imported(shop, tmp_path, row_of(shop, 1))
    (company,) = kept_companies(shop.store.directory)
    with closing(open_control(shop.store.directory, *NEEDED)) as control:
        delete_company(control, company.id, now=datetime.now(UTC))
    assert kept_companies(shop.store.directory) == []
    err = shop.call("companies", "import", tmp_path / "merchants.csv", code=2)
    assert "was deleted through the API" in err


def test_a_connection_belongs_to_one_company(shop, tmp_path):
    imported(shop, tmp_path, row_of(shop, 1))
    other = row_of(shop, 1, company_id="another")
    assert "cannot be another's" in shop.call(
        "companies", "import", written(tmp_path / "o.csv", [other]), code=2
    )


def test_kept_values_are_those_that_config_yaml_would_give(shop, tmp_path):
    row = row_of(
        shop, 1, fiscal_year_start="7", currency="CAD", region="eu", platform="auto", merchant_name="Main"
    )
    imported(shop, tmp_path, row)
    config = with_kept(load_config(shop.path), shop.store.directory)
    (kept,) = [one for one in config.companies if one.is_kept]
    fiscal = row.pop("fiscal_year_start")
    name = row.pop("name")
    same = Company.model_validate({"name": name, "fiscal_year_start": fiscal, "connections": [row]})
    assert kept.model_dump() == same.model_dump()
    assert kept.connections[0].model_fields_set >= {"merchant_name", "currency"}


def test_a_scheduler_takes_in_what_is_kept_disabled_and_unlinked_without_a_restart(shop, tmp_path, hook):
    place = shop.store.directory
    base = load_config(shop.path)
    scheduler = Scheduler(
        with_kept(base, place), shop.store, load=lambda: base, now=shop.clock.now, pace=shop.pace(),
        begin=lambda work, *, name: work(), send=hook,
    )  # fmt: skip

    def begun():
        shop.clock.advance(hours=1)
        count = 0
        while more := scheduler.step():
            count += more
        return count

    try:
        assert begun() == 1
        imported(shop, tmp_path, row_of(shop, 1), row_of(shop, 2))
        before = kept_version(place)
        assert begun() == 3
        shop.call("companies", "disable", "Kept 1")
        assert kept_version(place) > before
        assert begun() == 2
        with closing(open_control(place, *NEEDED)) as control:
            set_connection_status(control, shop.connection(2).id, "Unlinked")
        assert begun() == 1
        shop.call("companies", "enable", "Kept 1")
        assert begun() == 2
    finally:
        scheduler.close()


def test_without_any_company_every_command_says_how_to_keep_one(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("store: ./data\n")
    assert run(["--config", str(path), "sync"]) == 2
    assert "connector companies add" in capsys.readouterr().err
    assert run(["--config", str(path), "status"]) == 0
    assert run(["--config", str(path), "check"]) == 1
    said = capsys.readouterr().out
    assert "connector companies add" in said


def test_keeping_an_applicants_connection_links_it_and_leaves_the_company_its_clients(tmp_path):
    company = Company.model_validate(
        {
            "id": "of-a-client", "name": "Told by Clover",
            "connections": [
                {"id": "pending", "merchant_id": "M1", "country": "USA", "timezone": "UTC",
                 "start_date": "2026-01-01", "credential": "kept"}
            ],
        }
    )  # fmt: skip
    with closing(open_control(tmp_path, *NEEDED)) as control:
        control.write(
            "INSERT INTO companies (company_id, name, created, origin)"
            " VALUES ('of-a-client', 'Corner Shop', '2026-01-01T00:00:00Z', 'api')"
        )
        control.write(
            "INSERT INTO connections (connection_id, company_id, status, created, origin)"
            " VALUES ('pending', 'of-a-client', 'PendingAuth', '2026-01-01T00:00:00Z', 'api')"
        )
        keep_companies(control, [company], now=datetime.now(UTC))
        row = control.row("SELECT status, origin FROM connections")
        assert tuple(row) == ("Linked", "api")
    (kept,) = kept_companies(tmp_path)
    assert (kept.name, kept.connections[0].credential) == ("Corner Shop", "kept")
    without = company.connections[0].model_copy(update={"credential": None})
    wanted = [company.model_copy(update={"connections": [without]})]
    with (
        closing(open_control(tmp_path, *NEEDED)) as control,
        pytest.raises(ConfigError, match="no credential"),
    ):
        keep_companies(control, wanted, now=datetime.now(UTC))
