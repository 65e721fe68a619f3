"""The store as DuckDB files in one directory.

    control.sqlite           what several processes write: API keys, requests, running runs
    raw/                     what Clover sent
    work.duckdb              the ledger; only the holder of the store's lock opens it
    published/               immutable published copies, unless publish_to names another place; see ``places``
    commerce.duckdb          link to the newest of them: the one door for analysts and the API
    locks/ staging/          locks, and files of runs under way

A run holds its connection's lock from start to end, and the store's lock only for the moments of loading and
publishing. So companies are synced side by side, and nobody who reads waits for anybody.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from connector.errors import StoreDamaged, StoreError
from connector.files import refuse_foreign
from connector.ledger import locks
from connector.ledger.connection_state import ConnectionState, connection_states
from connector.ledger.database import (
    TEMPORARY,
    WORK,
    WorkSession,
    WrittenState,
    log_of,
    make_work_database,
    private_directory,
    store_errors,
    unwritten_log,
    written_state,
)
from connector.ledger.failpoints import failpoint
from connector.ledger.interface import PublishTo, now_utc
from connector.ledger.keep.forget import rewrite_without, room_to_forget, write_without
from connector.ledger.keep.forget_proof import Trace
from connector.ledger.load.apply import apply_batch
from connector.ledger.load.batch import Applied, Batch
from connector.ledger.migrate import migrate
from connector.ledger.places import Place, published_file
from connector.ledger.publish import (
    committed,
    copies,
    copy_whole,
    forget_base,
    leftovers,
    newest_copy,
    publish_copy,
    publish_log,
    publish_made,
    published_commit,
    remove_leftovers,
    remove_old,
)
from connector.ledger.published import DuckReader, PublishedSession, newest_file, open_published
from connector.ledger.verify import damage, newest_whole, refuse_damaged

# Seconds. A load and publication of another company takes moments, a first load of a large one maybe minutes.
STORE_LOCK_WAIT = 600.0


_BEGIN_EPOCH = "UPDATE ledger.publication SET commit_id = commit_id + 1, epoch = uuid()::VARCHAR"


class DuckStore:
    """See ``interface.Store``. ``clock``: aware UTC, for load times."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], datetime] = now_utc,
        lock_wait: float = STORE_LOCK_WAIT,
        publish_to: PublishTo | None = None,
    ) -> None:
        self._directory = directory
        self._place = Place(directory, publish_to)
        self._clock = clock
        self._lock_wait = lock_wait
        self._runs: dict[str, ExitStack] = {}
        self._session = WorkSession(directory)
        # The writer's file as this process last left it, and how many commits it had then.
        self._left: tuple[WrittenState, int] | None = None
        self._published = PublishedSession()

    @property
    def directory(self) -> Path:
        return self._directory

    def store_of(self, company_id: str) -> "DuckStore":  # noqa: ARG002 - all companies are in it
        return self

    def states(self, *, at: datetime | None = None) -> Mapping[str, ConnectionState]:
        with self.open_reader() as reader:
            return connection_states(reader.connection, at=at)

    def is_there(self) -> bool:
        return (self._directory / WORK).exists() or newest_copy(self._directory) is not None

    def run_lock(self, connection_id: str) -> AbstractContextManager[None]:
        refuse_foreign(self._directory)
        private_directory(self._directory)
        return locks.held(
            self._directory,
            f"connection-{connection_id}",
            what=f"Connection {connection_id}",
            since=self._clock(),
            wait=0,
        )

    def begin_run(self, run_id: str) -> Path:
        refuse_foreign(self._directory)
        staging = private_directory(private_directory(self._directory) / "staging")
        held = ExitStack()
        held.enter_context(
            locks.held(self._directory, f"run-{run_id}", what=f"Run {run_id}", since=self._clock(), wait=0)
        )
        self._runs[run_id] = held
        path = staging / run_id
        with store_errors(path, "make room for the run"):
            self._remove_dead_runs(staging)
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
        return path

    def end_run(self, run_id: str) -> None:
        shutil.rmtree(self._directory / "staging" / run_id, ignore_errors=True)
        if held := self._runs.pop(run_id, None):
            held.close()
        locks.lock_file(self._directory, f"run-{run_id}").unlink(missing_ok=True)

    def apply(self, batch: Batch) -> Applied:
        with self._locked(), self._work() as connection, store_errors(self._directory / WORK, "load"):
            return apply_batch(connection, batch, now=self._clock())

    def publish(self, *, wait: float | None = None) -> Path:
        with self._locked(wait):
            return self._publish()

    def publish_soon(self, connection_id: str) -> None:  # noqa: ARG002 - nothing is gathered here
        self.publish()

    def repair(self, connection_id: str | None = None) -> None:  # noqa: ARG002 - nor here
        if self._is_in_order():
            return
        with self._locked():
            remove_leftovers(self._directory)
            self._publish()

    def repair_after_others(self) -> None:
        if self._as_left() is not None:
            return
        with self._locked():
            # A run of this process may have been loading just now.
            if self._as_left() is None:
                remove_leftovers(self._directory)
                self._publish()

    def forget(self, company_id: str) -> Mapping[str, int]:
        with self._locked():
            for damaged in self._directory.glob(f"{WORK}.damaged-*"):
                damaged.unlink()
            with self._work():
                pass  # brings the store up to date first
            needed, free = room_to_forget(self._directory)
            if free < needed and self._gives_its_room_away():
                return self._forget_in_little_room(company_id)
            try:
                removed = rewrite_without(self._directory / WORK, company_id, at=self._clock())
            finally:
                published = self._publish()
            remove_old(self._directory, published, keep=1)
        return removed

    def traces(self, company_id: str) -> list[Trace]:  # noqa: ARG002 - everything is in the directory
        return []

    def begin_epoch(self) -> None:
        """Say that snapshots are numbered anew from here on, and publish that; see ``ledger.publication``."""
        with self._locked():
            with self._work() as connection, store_errors(self._directory / WORK, "begin an epoch"):
                connection.execute(_BEGIN_EPOCH)
            self._publish()

    def mend(self) -> list[str]:
        """Read the writer's and the published file through; make anew what is damaged. What was done, in words.

        Raises StoreDamaged when there is nothing good to make them from; nothing is changed then.
        """
        with self._locked():
            said = []
            shown = published_commit(self._directory) or 0
            if (why := self._damage_of_work()) is not None:
                good = newest_whole(copies(self._directory))
                if good is None:
                    raise StoreDamaged(
                        f"{self._directory / WORK} is damaged: {why}; and so is every published file beside it."
                        " Nothing was changed.",
                        hint="connector restore BACKUP --to NEW-DIRECTORY, then let `store` name it.",
                    )
                aside = self._set_aside()
                said.append(
                    f"{self._directory / WORK} was damaged ({why}). It is set aside as {aside.name} and made anew from"
                    f" {good.name}; what was loaded after that is read again."
                )
            published = published_file(self._directory)
            why = None if published is None else damage(published)
            if why is not None:
                said.append(
                    f"{published} was damaged ({why}). It is published anew from {WORK} under another name."
                )
            if said:
                forget_base(self._directory)
                with self._work() as connection:
                    connection.execute(
                        "UPDATE ledger.publication SET commit_id = greatest(commit_id, ?)", [shown]
                    )
                    # What was made from an older file may have lost loads, whose numbers are given again.
                    connection.execute(_BEGIN_EPOCH)
                self._publish()
            return said

    def bring_raw(self, connection_id: str) -> None: ...

    def delete_raw(self, connection_id: str, before: datetime) -> int:  # noqa: ARG002 - all of it is in the directory
        return 0

    def open_reader(self) -> DuckReader:
        return open_published(self._directory, self._published)

    def _publish(self) -> Path:
        commit = self._committed()
        shown = published_commit(self._directory)
        if shown is not None and shown > commit:
            raise StoreError(
                f"{WORK} is older (commit {commit}) than what is published (commit {shown})."
                " Nothing was changed.",
                hint=f"Remove {WORK}: the next run makes it again from the published file.",
            )
        if shown == commit and self._place.is_led_to():
            return newest_file(self._directory)
        # Closed now: nobody has the file open, and the lock keeps it so.
        failpoint("publish.begins")
        if (published := publish_log(self._directory, commit, self._place)) is not None:
            return published
        if unwritten_log(self._directory / WORK):
            with self._work() as connection, store_errors(self._directory / WORK, "write out"):
                connection.execute("CHECKPOINT")
        return publish_copy(self._directory, commit, self._place)

    def _gives_its_room_away(self) -> bool:
        """On a disk without room for a rewriting: whether the writer's file can go, as the published one is the same.

        Where something waits to be published the published copies go instead, and readers have no file until the
        company is forgotten. Either is read through before the other is removed.
        """
        remove_leftovers(self._directory)
        if (newest := newest_copy(self._directory)) is None:
            return False
        remove_old(self._directory, newest, keep=1)
        self._published = PublishedSession()  # which would keep the room of a removed file
        if published_commit(self._directory) == self._committed():
            return damage(newest_file(self._directory)) is None
        if self._damage_of_work() is None:
            self._place.lead_nowhere()
            self._place.remove(newest)
        return False

    def _forget_in_little_room(self, company_id: str) -> Mapping[str, int]:
        """Readers keep the published file until the new one is there; the next run makes the writer's file from it."""
        published = newest_file(self._directory)
        commit = self._committed()
        with store_errors(self._directory, "forget the company"):
            (self._directory / WORK).unlink()
            log_of(self._directory / WORK).unlink(missing_ok=True)
            self._left, self._session = None, WorkSession(self._directory)
            fresh = self._place.directory / f"publishing-{commit + 1:09d}.tmp"
            removed = write_without(published, fresh, company_id, at=self._clock(), room=self._directory)
            refuse_damaged(fresh, like=None)
            target = publish_made(self._directory, commit + 1, self._place, fresh)
            remove_old(self._directory, target, keep=1)
        return removed

    def _damage_of_work(self) -> str | None:
        with store_errors(self._directory / WORK, "read"):
            return damage(self._directory / WORK)

    def _set_aside(self) -> Path:
        """Move the writer's file and its log out of the way, kept for whoever wants to look at them."""
        work = self._directory / WORK
        aside = work.with_name(f"{WORK}.damaged-{self._clock():%Y%m%dT%H%M%S}")
        with store_errors(work, "set aside"):
            work.replace(aside)
            if (log := log_of(work)).exists():
                log.replace(log_of(aside))
        self._left, self._session = None, WorkSession(self._directory)
        return aside

    def _is_in_order(self) -> bool:
        """Whether nothing is left to repair, seen without a lock and without opening anything."""
        left = self._as_left()
        return (
            left is not None
            and published_commit(self._directory) == left
            and self._place.is_led_to()
            and not leftovers(self._directory)
        )

    def _committed(self) -> int:
        """How many commits the writer's file has. Opens it only if another process has written since."""
        if (left := self._as_left()) is not None:
            return left
        with self._work() as connection:
            return committed(connection)

    def _as_left(self) -> int | None:
        """The commits of the writer's file, if nobody has written to it since this process did; else None."""
        if self._left is None:
            return None
        return self._left[1] if self._left[0] == written_state(self._directory / WORK) else None

    @contextmanager
    def _locked(self, wait: float | None = None) -> Iterator[None]:
        refuse_foreign(self._directory)
        private_directory(self._directory)
        seconds = self._lock_wait if wait is None else wait
        with locks.held(self._directory, "store", what="The store", since=self._clock(), wait=seconds):
            yield

    @contextmanager
    def _work(self) -> Iterator[duckdb.DuckDBPyConnection]:
        private_directory(self._directory / "staging")
        if not (self._directory / WORK).exists():
            self._make_work()
        is_known = self._as_left() is not None
        with self._session.work() as connection:
            if not is_known:
                with store_errors(self._directory / WORK, "bring the store up to date"):
                    if migrate(connection, at=self._clock()):
                        # Other tables or views are a reason to publish, so they count as a commit.
                        connection.execute("UPDATE ledger.publication SET commit_id = commit_id + 1")
            yield connection
            commit = committed(connection)
        if (state := written_state(self._directory / WORK)) is not None:
            self._left = (state, commit)

    def _make_work(self) -> None:
        """Make a lost writer's file from a published one, which holds the same; never an empty one then."""
        work = self._directory / WORK
        published = newest_whole(copies(self._directory))
        if published is None and newest_copy(self._directory) is not None:
            raise StoreDamaged(
                f"{work} is gone, and every published file in {self._directory} is damaged. Nothing was changed.",
                hint="connector restore BACKUP --to NEW-DIRECTORY, then let `store` name it.",
            )
        # A log without its file is of no use to anybody, and must not be taken for that of the new file.
        log_of(work).unlink(missing_ok=True)
        if published is None:
            make_work_database(self._directory)
            return
        with store_errors(work, "restore"):
            temporary = self._directory / "making-work.tmp"
            copy_whole(published, temporary)
            temporary.replace(work)

    def _remove_dead_runs(self, staging: Path) -> None:
        for path in staging.iterdir():
            is_run = path.is_dir() and path.name != TEMPORARY.name
            if is_run and not locks.is_held(self._directory, f"run-{path.name}"):
                shutil.rmtree(path, ignore_errors=True)
                locks.lock_file(self._directory, f"run-{path.name}").unlink(missing_ok=True)
