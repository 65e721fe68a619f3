"""Two sync hosts and a rogue one that ignores every lock, killed at every step, while a third host answers.

Part of the suite with 8 merchants. With 200: ``python tests/fleet/storm.py --merchants 200 --rounds 30``.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from connector.errors import StoreError  # noqa: E402
from connector.fleet.published import FleetPublished  # noqa: E402
from connector.fleet.store import FleetStore  # noqa: E402
from connector.ledger.published import NothingPublishedError  # noqa: E402
from tests.fleet.host import PLACES  # noqa: E402
from tests.operations.town import Clock, Town, make_town, sandbox_of, worlds_of, write_config  # noqa: E402

HALF = """SELECT
  (SELECT count(*) FROM ledger.order_versions WHERE snapshot_id NOT IN (SELECT snapshot_id FROM ledger.snapshots))
+ (SELECT count(*) FROM (SELECT s.snapshot_id FROM ledger.snapshots s LEFT JOIN ledger.order_versions o
     ON o.snapshot_id = s.snapshot_id GROUP BY s.snapshot_id, s.orders_inserted, s.orders_updated
     HAVING count(o.order_id) <> s.orders_inserted + s.orders_updated))"""


class Readers:
    """An API host of its own that reads company after company until it is told to stop."""

    def __init__(self, town: Town, cache: Path) -> None:
        self.reads, self.wrong = 0, []
        self._town = town
        self._place = town.config.model_copy(update={"cache": cache}).fleet
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        with closing(FleetPublished(self._place)) as published:
            while not self._stop.wait(0.3):
                company = random.choice(self._town.config.companies)
                try:
                    with published.open(company.id) as publication:
                        (half,) = publication.cursor.execute(HALF).fetchone()
                    self.reads += 1
                    if half:
                        self.wrong.append(f"{company.name}: {half} rows of half a load")
                except NothingPublishedError:
                    continue
                except StoreError as error:
                    self.wrong.append(f"{company.name}: {error.message}")


def storm(directory: Path, town: Town, *, rounds: int, a_life: int, seed: int) -> dict[str, object]:
    """Sales and killed hosts in turn, then a calm host on an empty cache. Asserts that nothing was lost."""
    chance = random.Random(seed)
    config = write_config(town, directory / "config.yaml", bucket=str(town.config.bucket))
    numbers = range(len(town.worlds))
    killed, ended, readers = Counter(), Counter(), Readers(town, directory / "api")
    with readers:
        for turn in range(rounds):
            town.clock.advance(minutes=30)
            for number in chance.sample(numbers, max(1, len(numbers) // 2)):
                town.sell(number, amount=chance.randrange(100, 9000))
            lives = []
            # The rogue works on the same companies as the first host, at the same time.
            shared = chance.sample(numbers, a_life)
            for name in ("one", "two", "rogue"):
                place = PLACES[(3 * turn + len(lives)) % len(PLACES)]
                companies = chance.sample(numbers, a_life) if name == "two" else shared
                lives.append((place, live(config, directory / name, town, companies, place, chance, name)))
            for place, life in lives:
                said, _ = life.communicate(timeout=240)
                killed[place] += life.returncode == -9
                ended.update(line.split()[2] for line in said.splitlines() if line.startswith("run "))
            if turn % 4 == 3:
                shutil.rmtree(directory / "two", ignore_errors=True)
        town.clock.advance(minutes=30)
        # Host one is dead for good; what it had not published is read again.
        last = live(config, directory / "calm", town, numbers, None, chance, "calm")
        said, errors = last.communicate(timeout=240 + 10 * len(numbers))
        statuses = [line.split()[2] for line in said.splitlines() if line.startswith("run ")]
        assert statuses == ["succeeded"] * len(numbers), said + errors
    assert readers.wrong == []
    check(town, directory)
    return {"killed": dict(killed), "runs": dict(ended), "reads": readers.reads}


def live(config, cache, town, companies, place, chance, name) -> "subprocess.Popen[str]":
    more = {} if place is None else {"KILL_AT": place, "KILL_AFTER": str(chance.randrange(1, 3))}
    more |= {"ROGUE": "1"} if name == "rogue" else {}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("host.py")), str(config), str(cache),
         town.clock.now().isoformat(), ",".join(map(str, companies))],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def check(town: Town, directory: Path) -> None:
    """Every merchant's orders, as a host with an empty cache fetches them, are those of its books, each once."""
    store = FleetStore(
        town.config.model_copy(update={"cache": directory / "fresh"}).fleet, clock=town.clock.now
    )
    with closing(store):
        rows = []
        for company in town.config.companies:
            with store.store_of(company.id).open_reader() as reader:
                assert reader.connection.execute(HALF).fetchone() == (0,)
                twice = "SELECT order_id FROM orders GROUP BY 1 HAVING count(*) > 1"
                assert reader.connection.execute(twice).fetchall() == []
                rows += reader.connection.execute(
                    "SELECT connection_id, order_id, currency, total_amount, total_refund, total_gratuity FROM orders"
                ).fetchall()
    town.rows = lambda sql: rows
    town.check_books()


def make(directory: Path, database: str, merchants: int) -> Town:
    worlds = worlds_of(merchants)
    sandbox = sandbox_of(worlds)
    return make_town(
        directory, sandbox, worlds, Clock(),
        store=database, bucket=str(directory / "bucket"), cache=directory / "here",
    )  # fmt: skip


def main() -> None:
    from tests.fleet.servers import start_postgres

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--merchants", type=int, default=200)
    asked.add_argument("--rounds", type=int, default=30)
    asked.add_argument("--seed", type=int, default=19)
    options = asked.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="storm-"))
    server = start_postgres(directory / "postgres" / "cluster")
    try:
        town = make(directory, server.database(), options.merchants)
        a_life = max(4, options.merchants // 10)
        print(storm(directory, town, rounds=options.rounds, a_life=a_life, seed=options.seed))
        town.sandbox.stop()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
