"""`connector runs`: what each run did, how it ended, and what to type next."""

import json

import pytest
import yaml

from connector.cli.entry import run


@pytest.fixture
def connector(town, tmp_path, capsys):
    """Two runs of one company, one good and one refused, behind a config.yaml; then the command line."""
    here = town(1)
    here.sell(0)
    here.sync()
    here.clock.advance(hours=1)
    here.sandbox.access.revoke(here.worlds[0])
    here.sync()
    company = here.config.companies[0]
    connection = company.connections[0]
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump(
            {
                "store": here.config.store,
                "companies": [
                    {
                        "name": company.name,
                        "connections": [
                            {
                                "merchant_id": connection.merchant_id,
                                "country": "USA",
                                "timezone": connection.timezone,
                                "start_date": "2026-02-01",
                                "token": "some-token",
                            }
                        ],
                    }
                ],
            }
        )
    )

    def call(*arguments):
        code = run(["--config", str(tmp_path / "config.yaml"), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    call.town = here
    capsys.readouterr()  # what the two runs logged
    return call


def test_runs_are_listed_newest_first(connector):
    code, out, _err = connector("runs", "--json")
    assert code == 0
    newest, oldest = json.loads(out)["runs"]
    assert (newest["status"], newest["errorKind"], newest["next"]) == (
        "failed",
        "authorisation",
        "connector check",
    )
    assert (oldest["status"], oldest["error"], oldest["next"]) == ("succeeded", None, None)
    assert oldest["orders"]["inserted"] == 1
    assert oldest["rowsRead"]["charges"] == 1


def test_only_what_failed(connector):
    _code, out, _err = connector("runs", "--failed", "--json")
    assert [one["status"] for one in json.loads(out)["runs"]] == ["failed"]


def test_the_table_names_company_and_status(connector):
    _code, out, _err = connector("runs")
    assert "Company 0" in out
    assert "succeeded" in out
    assert "authorisation" in out


def test_one_run_is_explained_by_the_beginning_of_its_id(connector):
    run_id = json.loads(connector("runs", "--failed", "--json")[1])["runs"][0]["runId"]
    code, out, _err = connector("runs", "show", run_id[:15])
    assert code == 0
    assert "Clover refuses the merchant's token" in out
    assert "connector check" in out


def test_a_run_is_told_in_words_and_scripts_find_one_spelling(connector):
    good = json.loads(connector("runs", "--json")[1])["runs"][1]
    out = connector("runs", "show", good["runId"])[1]
    assert out.startswith("Sync of Company 0: succeeded.\n")
    assert "  orders    1 new, 0 changed, 0 unchanged, 0 held back\n" in out
    assert f"  snapshot  {good['snapshotId']}\n" in out
    assert "{" not in out
    assert good["heldBack"] == 0

    def names(value):
        if isinstance(value, dict):
            return {*value, *(name for member in value.values() for name in names(member))}
        return set()

    assert not [name for name in names(good) if "_" in name or " " in name]


def test_an_unknown_or_ambiguous_run_is_said_to_be_so(connector):
    code, _out, err = connector("runs", "show", "nothing")
    assert code == 2
    assert "There is no run nothing" in err
    code, _out, err = connector("runs", "show", "2026")
    assert code == 2
    assert "Several runs begin with 2026" in err


def test_status_names_the_next_command_of_a_failing_company(connector):
    _code, out, _err = connector("status")
    assert "next: connector check" in out


def test_listing_runs_changes_no_byte_of_the_published_file(connector):
    link = connector.town.store.directory / "commerce.duckdb"
    before = link.resolve().read_bytes()
    connector("runs")
    assert link.resolve().read_bytes() == before
