"""The door to the store: what sync, API and command line may ask of it, whatever keeps the data behind it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from connector.errors import ConfigError
from connector.ledger.load.batch import Applied, Batch

if TYPE_CHECKING:
    import duckdb

    from connector.config import FleetPlace
    from connector.ledger.connection_state import ConnectionState
    from connector.ledger.keep.forget_proof import Trace

LINK = "commerce.duckdb"
"""In the store's directory: leads to the newest published file, which bears the same name."""


@dataclass(frozen=True, slots=True)
class PublishTo:
    """Where copies are published apart from the store, and who may read them.

    group: its name or number; None takes the group of the directory. mode: of the files.
    """

    directory: Path
    group: str | None = None
    mode: int = 0o440


class Reader(Protocol):
    """A published state, unchanged for as long as it is held open. Used as a context manager."""

    @property
    def path(self) -> Path:
        """The immutable file that is read."""

    @property
    def is_whole(self) -> bool:
        """False where it tells of all companies of a fleet: how current they are and their newest runs, no order."""

    @property
    def connection(self) -> "duckdb.DuckDBPyConnection":
        """Read-only, session in UTC."""

    @property
    def snapshot_id(self) -> int:
        """The newest snapshot in it; 0 when nothing was ever loaded."""

    @property
    def epoch(self) -> str:
        """Which numbering its snapshots are of: another one after a restore."""

    def as_of(self, moment: "int | datetime | None") -> int:
        """The snapshot that was newest at a time, or a snapshot id checked. ConfigError when there is none."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """Writes go through ``apply``; readers see them after ``publish``.

    Raises StoreError, StoreBusy, StoreTooNew.
    """

    @property
    def directory(self) -> Path:
        """Where everything is kept: also raw payloads (``raw``), staging files and ``control.sqlite``."""

    def store_of(self, company_id: str) -> "Store":
        """Where one company is loaded and read: this store itself, unless every company has one of its own."""

    def states(self, *, at: datetime | None = None) -> "Mapping[str, ConnectionState]":
        """Connection id -> how current it is. StoreError when nothing was published. at: see ``connection_states``."""

    def is_there(self) -> bool:
        """Whether anything was ever stored. Looks, and makes nothing."""

    def run_lock(self, connection_id: str) -> AbstractContextManager[None]:
        """Held for a whole run of one connection. StoreBusy at once when another run holds it."""

    def begin_run(self, run_id: str) -> Path:
        """An empty directory for the files of this run. What dead runs left behind is removed."""

    def end_run(self, run_id: str) -> None:
        """Remove the directory of a run."""

    def apply(self, batch: Batch) -> Applied:
        """One transaction: all of the batch, its cursors and the run's row, or nothing."""

    def publish(self, *, wait: float | None = None) -> Path:
        """Make everything committed so far visible to readers; the newest immutable file.

        wait: seconds for another process that loads or publishes, then StoreBusy; by default minutes.
        """

    def publish_soon(self, connection_id: str) -> None:
        """At the end of a run: make it visible at once, or with other runs that end now. See ``gathering``."""

    def repair(self, connection_id: str | None = None) -> None:
        """Finish what a killed process left: make the store if it is missing, publish if something waits.

        connection_id: a run of this connection is about to begin, and has to see what its last one stored.
        """

    def repair_after_others(self) -> None:
        """``repair``, unless all that waits to be published was committed by this process."""

    def forget(self, company_id: str) -> Mapping[str, int]:
        """Remove a company from the ledger and every published file; table -> rows removed.

        Raw payloads, ``control.sqlite`` and the configuration are the caller's. Hold the company's run locks.
        """

    def traces(self, company_id: str) -> "list[Trace]":
        """What is left of a forgotten company beyond ``directory``."""

    def mend(self) -> list[str]:
        """Make damaged files anew from good ones; what was done, in words. StoreDamaged when none is good."""

    def bring_raw(self, connection_id: str) -> None:
        """Have everything that Clover sent for a connection in ``directory / raw``, for a rebuild."""

    def delete_raw(self, connection_id: str, before: datetime) -> int:
        """Delete what is kept beyond ``directory`` of runs that began earlier (aware UTC); how many files."""

    def open_reader(self) -> Reader:
        """The newest published state. StoreError when nothing was published yet."""


def now_utc() -> datetime:
    """Aware UTC."""
    return datetime.now(UTC)


def open_store(
    url: str | Path,
    *,
    clock: Callable[[], datetime] = now_utc,
    publish_to: PublishTo | None = None,
    fleet: "FleetPlace | None" = None,
) -> Store:
    """The store behind a directory or ``duckdb:///path``, or a fleet's, else ConfigError. Touches nothing yet.

    publish_to: where it publishes, if not inside itself. Who only reads need not know: the link leads there.
    fleet: for ``postgresql://…``, what it stands on.
    """
    if fleet is not None:
        return _open_fleet(fleet, clock)
    text = str(url)
    if text.startswith("ducklake:"):
        raise ConfigError(
            "store: ducklake: is not supported yet; this version keeps the store in a directory.",
            hint="Set `store` to a directory on a local disk, e.g. store: ./data",
        )
    path = text
    if text.startswith("duckdb:"):
        path = text.removeprefix("duckdb:")
        path = path.removeprefix("//") if path.startswith("//") else path
    elif "://" in text:
        raise ConfigError(
            f"store: {text.split('://')[0]}:// is not a kind of store.",
            hint="Set `store` to a directory, e.g. store: ./data",
        )
    if not path:
        raise ConfigError("store: the directory is missing.", hint="Write e.g. store: ./data")
    from connector.ledger.store import DuckStore

    return DuckStore(Path(path), clock=clock, publish_to=publish_to)


def _open_fleet(place: "FleetPlace", clock: Callable[[], datetime]) -> Store:
    """Nothing of it is imported by a store in a directory."""
    try:
        from connector.fleet.store import FleetStore
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"store: a fleet's store needs {error.name}, which is not installed.",
            hint="pip install 'clover-codat-connector[fleet]'",
        ) from None
    return FleetStore(place, clock=clock)
