"""Every body is kept as it came, survives a crash, and is found again in order."""

import gzip
import os
import stat
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.clover.archive import RawArchive, delete_archive, delete_older_than, read_archive
from connector.clover.auth.tokens import StaticToken
from connector.errors import StoreError

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


class Ticking:
    def __init__(self, start=NOON):
        self.at = start

    def __call__(self):
        self.at += timedelta(seconds=1)
        return self.at


def fill(directory, run_id="run-1", count=3, start=NOON, **options):
    with RawArchive(directory, "conn-1", run_id, now=Ticking(start), **options) as archive:
        for number in range(count):
            body = orjson.dumps({"data": [{"id": f"{run_id}-{number}"}]})
            archive.append("/v1/charges", [("limit", "100")], 200, body)


def bodies(directory):
    return [page.body["data"][0]["id"] for page in read_archive(directory, "conn-1")]


def test_what_was_appended_is_read_back(tmp_path):
    fill(tmp_path)
    pages = list(read_archive(tmp_path, "conn-1"))
    assert bodies(tmp_path) == ["run-1-0", "run-1-1", "run-1-2"]
    assert pages[0].params == (("limit", "100"),)
    assert (pages[0].path, pages[0].status, pages[0].run_id) == ("/v1/charges", 200, "run-1")
    assert pages[0].at == NOON + timedelta(seconds=1)


def test_any_gzip_tool_reads_the_files(tmp_path):
    fill(tmp_path)
    with gzip.open(tmp_path / "conn-1" / "run-1-0001.jsonl.gz") as file:
        assert len(file.read().splitlines()) == 3


def test_only_the_owner_may_read_them_and_names_say_nothing(tmp_path):
    raw = tmp_path / "raw"
    fill(raw)
    part = raw / "conn-1" / "run-1-0001.jsonl.gz"
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert stat.S_IMODE(raw.stat().st_mode) == stat.S_IMODE(part.parent.stat().st_mode) == 0o700


def test_large_runs_are_cut_into_parts_and_read_as_one(tmp_path):
    fill(tmp_path, count=20, part_bytes=200)
    assert len(list((tmp_path / "conn-1").iterdir())) > 3
    assert bodies(tmp_path) == [f"run-1-{n}" for n in range(20)]


def test_runs_are_read_in_the_order_of_time_whatever_they_are_called(tmp_path):
    fill(tmp_path, "z-first", count=1)
    fill(tmp_path, "a-second", count=1, start=NOON + timedelta(days=1))
    assert bodies(tmp_path) == ["z-first-0", "a-second-0"]


def test_a_killed_run_keeps_every_line_it_appended(tmp_path):
    archive = RawArchive(tmp_path, "conn-1", "run-1", now=Ticking())
    for number in range(3):
        archive.append("/v1/charges", [], 200, orjson.dumps({"data": [{"id": f"n{number}"}]}))
    assert bodies(tmp_path) == ["n0", "n1", "n2"]  # neither closed nor flushed by anybody


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_part_cut_anywhere_is_read_up_to_its_last_whole_line(tmp_path_factory, cut):
    directory = tmp_path_factory.mktemp("raw")
    fill(directory, count=5)
    part = directory / "conn-1" / "run-1-0001.jsonl.gz"
    whole = part.read_bytes()
    part.write_bytes(whole[: max(0, len(whole) - cut)])
    found = bodies(directory)
    assert found == [f"run-1-{n}" for n in range(len(found))]
    assert cut > 8 or len(found) == 5


def test_a_run_that_starts_again_does_not_touch_its_earlier_parts(tmp_path):
    fill(tmp_path, count=1)
    fill(tmp_path, count=1, start=NOON + timedelta(hours=1))
    assert sorted(part.name for part in (tmp_path / "conn-1").iterdir()) == [
        "run-1-0001.jsonl.gz",
        "run-1-0002.jsonl.gz",
    ]


def test_bodies_with_line_breaks_stay_one_line(tmp_path):
    with RawArchive(tmp_path, "conn-1", "run-1") as archive:
        archive.append("/v1/charges", [], 200, b'{\r\n  "data": [{"id": "x\\ny"}]\n}')
        archive.append("/v1/charges", [], 200, b'{"data": [{"id": "z"}]}')
    assert bodies(tmp_path) == ["x\ny", "z"]


def test_a_full_disk_is_said_and_later_lines_are_still_readable(tmp_path, monkeypatch):
    archive = RawArchive(tmp_path, "conn-1", "run-1", now=Ticking())
    archive.append("/v1/charges", [], 200, b'{"data": [{"id": "a"}]}')
    write = os.write

    def full(_file, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match="No space left"):
        archive.append("/v1/charges", [], 200, b'{"data": [{"id": "b"}]}')
    monkeypatch.setattr(os, "write", write)
    archive.append("/v1/charges", [], 200, b'{"data": [{"id": "c"}]}')
    archive.close()
    assert bodies(tmp_path) == ["a", "c"]


def test_ids_cannot_lead_out_of_the_directory(tmp_path):
    for connection_id, run_id in (("../x", "run"), ("conn", "../run"), ("", "run"), ("a/b", "run")):
        with pytest.raises(StoreError):
            RawArchive(tmp_path, connection_id, run_id)


def test_old_parts_are_deleted_and_young_ones_stay(tmp_path):
    fill(tmp_path, "old", count=1)
    fill(tmp_path, "young", count=1, start=NOON + timedelta(days=10))
    assert delete_older_than(tmp_path, "conn-1", NOON + timedelta(days=5)) == 1
    assert bodies(tmp_path) == ["young-0"]
    delete_archive(tmp_path, "conn-1")
    assert bodies(tmp_path) == []
    assert not (tmp_path / "conn-1").exists()


def test_a_client_archives_what_it_reads_and_never_the_token(tmp_path, client_for):
    with RawArchive(tmp_path, "conn-1", "run-1") as archive:
        client = client_for(
            lambda _r: httpx.Response(200, content=b'{"data": [{"id": "C1"}], "has_more": false}'),
            archive=archive,
            token=StaticToken("clvPlanted"),
        )
        client.get_json("/v1/charges", {"limit": 100})
    assert bodies(tmp_path) == ["C1"]
    text = gzip.decompress((tmp_path / "conn-1" / "run-1-0001.jsonl.gz").read_bytes())
    assert b"clvPlanted" not in text
