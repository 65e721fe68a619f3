"""Sealed evidence: what is in it, and that no change of a byte, a file or a key goes unnoticed offline."""

import base64
import io
import json
import stat
import zipfile
from decimal import Decimal

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.api.evidence.check import check_evidence
from connector.api.evidence.key import FILE, fingerprint, public_half, signing_key
from connector.cli.commands.evidence import evidence
from connector.errors import ConfigError

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
CONNECTION = f"/companies/{JUNIPER}/connections/{SHOP}"


@pytest.fixture(scope="module")
def get(shared):
    headers = shared.key("read", companies=[JUNIPER])
    return lambda path, **more: shared.client.get(path, headers={**headers, **more})


@pytest.fixture(scope="module")
def sealed(get):
    answer = get(f"{CONNECTION}/evidence")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return answer.content


@pytest.fixture(scope="module")
def key(get):
    return get("/evidence/key").json()


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(tmp_path, files):
    path = tmp_path / "evidence.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return path


def test_the_file_holds_the_orders_as_served_and_what_proves_them(get, sealed, key, tmp_path):
    files = members(sealed)
    orders = [json.loads(line) for line in files["orders.ndjson"].splitlines()]
    assert orders == get(f"{CONNECTION}/data/commerce-orders?pageSize=5000").json()["results"]
    manifest = json.loads(files["manifest.json"])
    assert (manifest["snapshotId"], manifest["company"]["name"]) == (3, "Juniper Goods")
    assert manifest["dataQuality"]["complete"] is True
    assert manifest["files"]["orders.ndjson"]["lines"] == len(orders) == 30
    [month] = json.loads(files["figures.json"])
    total = sum(Decimal(str(o["totalAmount"])) for o in orders)
    assert (month["month"], month["orders"], Decimal(month["totalAmount"])) == ("2026-10", 30, total)
    [lineage] = [json.loads(line) for line in files["lineage.ndjson"].splitlines()]
    assert (lineage["kind"], lineage["id"], lineage["contentHash"]) == ("charge", "CH00", "x")
    assert b"amount" not in files["lineage.ndjson"]  # hashes only: Clover's words need the scope lineage
    assert [day["unexplained"] for day in json.loads(files["reconciliation.json"])] == ["0"]
    assert [issue["code"] for issue in json.loads(files["issues.json"])] == ["tax_once"]
    assert [one["snapshotId"] for one in json.loads(files["snapshots.json"])] == [1, 3]
    checked = check_evidence(zipped(tmp_path, files), key=key["fingerprint"])
    assert (checked.faults, checked.orders) == ([], 30)
    assert check_evidence(zipped(tmp_path, files), key=key["publicKey"]).is_sound


def test_a_past_snapshot_can_be_sealed_too_and_the_same_state_gives_the_same_bytes(get, sealed, tmp_path):
    assert get(f"{CONNECTION}/evidence").content == sealed
    past = get(f"{CONNECTION}/evidence?asOf=1")
    manifest = json.loads(members(past.content)["manifest.json"])
    assert (manifest["snapshotId"], manifest["files"]["orders.ndjson"]["lines"]) == (1, 30)
    assert past.headers["x-complete"] == "unknown"
    assert check_evidence(zipped(tmp_path, members(past.content))).is_sound


def changed(name, before, after):
    def change(files):
        assert before in files[name]
        return {**files, name: files[name].replace(before, after, 1)}

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (changed("orders.ndjson", b'"totalAmount":', b'"totalAmount":1'), "orders.ndjson: sha256"),
        (changed("figures.json", b'"orders": 30', b'"orders": 31'), "figures.json: sha256"),
        (changed("reconciliation.json", b'"unexplained": "0"', b'"unexplained": "9"'), "reconciliation.json"),
        (changed("issues.json", b"tax_once", b"tax_onze"), "issues.json: sha256"),
        (changed("lineage.ndjson", b"CH00", b"CH01"), "lineage.ndjson: sha256"),
        (changed("manifest.json", b'"snapshotId": 3', b'"snapshotId": 4'), "the signature does not fit"),
        (changed("manifest.json", b'"complete": true', b'"complete": null'), "the signature does not fit"),
        (changed("signature.json", b'"publicKey": "', b'"publicKey": "!'), "signature.json is not readable"),
        (lambda files: {k: v for k, v in files.items() if k != "issues.json"}, "issues.json is missing"),
        (lambda files: {**files, "note.txt": b"trust me"}, "note.txt is in the file, but was not sealed"),
        (lambda files: {**files, "orders.ndjson": files["orders.ndjson"][:-200]}, "orders.ndjson: bytes"),
        (lambda files: {**files, "orders.ndjson": files["orders.ndjson"] + b"\n"}, "orders.ndjson: lines"),
    ],
)  # fmt: skip
def test_whatever_was_changed_is_found_and_named(sealed, tmp_path, change, fault):
    path = zipped(tmp_path, change(members(sealed)))
    checked = check_evidence(path)
    assert any(fault in found for found in checked.faults), checked.faults
    said = CliRunner().invoke(evidence, ["verify", str(path)])
    assert said.exit_code == 1
    assert "wrong: " in said.output
    assert "sound" not in said.output


def test_a_forger_who_signs_anew_is_caught_by_the_key_and_wrong_figures_by_the_orders(sealed, key, tmp_path):
    """Everything is hashed and signed anew by somebody else, over an order that was made larger."""
    import hashlib

    files = members(sealed)
    orders = files["orders.ndjson"].replace(b'"totalAmount":', b'"totalAmount":1', 1)
    manifest = json.loads(files["manifest.json"])
    manifest["files"]["orders.ndjson"] |= {"bytes": len(orders), "sha256": hashlib.sha256(orders).hexdigest()}
    content = json.dumps(manifest).encode()
    forger = Ed25519PrivateKey.generate()
    signature = json.dumps(
        {
            "publicKey": base64.b64encode(public_half(forger)).decode(),
            "signature": base64.b64encode(forger.sign(content)).decode(),
        }
    )
    path = zipped(
        tmp_path, {**files, "orders.ndjson": orders, "manifest.json": content, "signature.json": signature}
    )
    assert check_evidence(path).faults == ["figures of 2026-10 USD are not those of the orders"]
    assert any(
        "signed by another key" in found for found in check_evidence(path, key=key["fingerprint"]).faults
    )
    assert check_evidence(path).fingerprint == fingerprint(public_half(forger))


def test_a_name_that_is_there_twice_and_what_is_no_evidence_are_told_apart(sealed, tmp_path):
    files = [*members(sealed).items(), ("orders.ndjson", b"")]
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path, files)
    assert check_evidence(path).faults == ["a name is in the file twice"]
    for content in ({"a": b"b"}, {}):
        with pytest.raises(ConfigError, match="no evidence file"):
            check_evidence(zipped(tmp_path, content))
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ConfigError, match="cannot be read"):
        check_evidence(tmp_path / "text.zip")


def test_the_documented_command_checks_it_with_no_store_and_no_configuration(
    sealed, key, tmp_path, monkeypatch
):
    path = tmp_path / "juniper.zip"
    path.write_bytes(sealed)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(evidence, ["verify", "juniper.zip", "--key", key["fingerprint"]])
    assert said.exit_code == 0, said.output
    assert said.output.startswith("sound: 30 orders of Juniper Goods at snapshot 3")
    wrong = CliRunner().invoke(evidence, ["verify", "juniper.zip", "--key", "00"])
    assert (wrong.exit_code, "signed by another key" in wrong.output) == (1, True)
    answer = json.loads(CliRunner().invoke(evidence, ["verify", "juniper.zip", "--json"]).output)
    assert (answer["sound"], answer["keyCompared"], answer["faults"]) == (True, False, [])


def test_the_key_is_its_owners_made_once_and_refused_when_others_may_read_it(shared, key, tmp_path):
    path = shared.books.directory / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_half(signing_key(shared.books.directory)) == base64.b64decode(key["publicKey"])
    other = signing_key(tmp_path)
    assert public_half(signing_key(tmp_path)) == public_half(other)
    assert [found.name for found in tmp_path.iterdir()] == [FILE]
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        signing_key(tmp_path)
    (tmp_path / FILE).chmod(0o600)
    (tmp_path / FILE).write_text("no key")
    with pytest.raises(ConfigError, match="no Ed25519 key"):
        signing_key(tmp_path)


def test_evidence_of_what_a_key_may_not_see_or_was_never_synced_is_not_made(get, shared):
    assert (
        get("/companies/11111111-aaaa-4bbb-8ccc-0242ac120009/connections/n-rival/evidence").status_code == 404
    )
    assert get(f"/companies/{JUNIPER}/connections/n-new/evidence").status_code == 409
    assert get(f"{CONNECTION}/evidence", Accept="text/html").status_code == 406
    assert shared.client.get("/evidence/key").status_code == 401
