"""A company in a fleet is loaded as in a store on one disk: the tests of syncs, on PostgreSQL and a bucket.

The tests are those of ``tests/sync``; only the place where the store lies is another. Loads, versions, late records,
deletions, histories, rebuilds, dry runs, kills and repairs, and the faults of the sandbox are among them. Left out are
tests of what lies above the store (mapping, links, requests), and those that change its files behind its back.
"""

import sys
from pathlib import Path

import pytest

from tests.fleet.servers import PostgresServer

SYNC = Path(__file__).parents[1] / "sync"
sys.path.insert(0, str(SYNC))

from sync_bench import benches  # noqa: E402

from tests.sync import test_commits, test_faults, test_idempotence, test_modes, test_timeline  # noqa: E402

TESTS = {
    test_commits: (
        "a_power_cut_in_any_part_is_repaired_by_the_next_run",
        "what_one_part_read_is_not_read_again_because_the_next_was_listed_before",
        "a_bug_in_a_later_part_says_that_the_parts_before_it_are_kept",
    ),
    test_idempotence: (
        "a_second_sync_of_unchanged_data_writes_no_version_and_no_snapshot",
        "an_older_answer_never_overwrites_newer_knowledge",
        "a_record_that_is_listed_late_arrives_within_the_overlap",
    ),
    test_modes: (
        "a_dry_run_tells_what_would_change_and_leaves_no_trace",
        "full_reads_everything_again_and_writes_only_what_differs",
        "rebuild_calls_nobody_and_gives_the_same_orders",
        "resync_never_moves_a_cursor",
    ),
    test_timeline: (
        "a_refund_of_a_300_day_old_order_is_there_after_the_next_sync_and_history_stays",
        "a_deleted_order_whose_charge_is_gone_too_leaves_a_tombstone_its_history_and_the_reason",
    ),
}
for _module, _names in TESTS.items():
    for _name in _names:
        globals()[f"test_{_name}"] = getattr(_module, f"test_{_name}")
quiet = test_faults.quiet


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("server errors", "/v1/charges"),
        ("half of the JSON", "/v1/orders"),
        ("empty pages that say more", "/v1/refunds"),
    ],
)
def test_a_fault_that_lasts_loads_nothing_and_the_next_run_heals(bench, quiet, name, path):
    test_faults.test_a_fault_that_lasts_fails_the_run_which_loads_nothing_and_the_next_run_heals(
        bench, quiet, name, path
    )


@pytest.fixture(autouse=True)
def _small_commits(request, monkeypatch):
    """As the tests of commits have it."""
    if request.function.__module__ == test_commits.__name__:
        monkeypatch.setattr(test_commits.pipeline, "_ROWS_A_COMMIT", 10)
        monkeypatch.setattr(test_commits.pipeline, "_MOST_ROWS_A_COMMIT", 10)


def places(server: PostgresServer):
    """What the configuration of a bench says: a database of its own, a bucket and a cache beside each other."""

    def place(directory):
        return {
            "store": server.database(),
            "bucket": str(directory / "bucket"),
            "cache": directory / "cache",
        }

    return place


@pytest.fixture
def bench(tmp_path, postgres_server):
    yield from benches(tmp_path, places(postgres_server))


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory, postgres_server):
    yield from benches(tmp_path_factory.mktemp("bench"), places(postgres_server))
