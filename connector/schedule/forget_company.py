"""Forgets a company: ledger, published files, raw payloads, OAuth pairs, control rows; then searches for the rest.

Backups made earlier, and what analysts or lenders copied, are beyond its reach.
"""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime

from connector.clover.archive import delete_archive
from connector.config import Config
from connector.control import access_log as api_access_log
from connector.control import forget as api_forget
from connector.control import kept, links, outbox
from connector.control import keys as api_keys
from connector.control import refreshes as api_refreshes
from connector.control import webhooks as api_webhooks
from connector.control.database import ControlDatabase
from connector.control.file import stamp
from connector.control.pairs import delete_pairs
from connector.control.place import Place, control_is_there, control_place, open_control
from connector.errors import ConfigError, StoreError
from connector.ledger import locks
from connector.ledger.interface import Store
from connector.ledger.keep.forget_proof import Trace, search
from connector.schedule import alert_book

# How many times a company was read stays known, without saying whose data it was or who read it.
TABLES = (
    "CREATE TABLE IF NOT EXISTS forgotten_reads (forgotten TEXT NOT NULL, reads INTEGER NOT NULL) STRICT;"
)
_SAMPLE = 25
_LOCK_WAIT = 600.0


@dataclass(frozen=True, slots=True)
class Ids:
    """Under which names a company is known. words: what the search looks for."""

    company_id: str
    connection_ids: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """removed: place -> rows or files. traces: what the search still found; none is the proof."""

    ids: Ids
    removed: Mapping[str, int]
    traces: tuple[Trace, ...]


def forget_company(config: Config, store: Store, company_id: str, *, now: datetime) -> Forgotten:
    """Remove everything, then search. Raises ConfigError for an unknown company, StoreBusy while it is read."""
    store = store.store_of(company_id)
    ids = ids_of(config, store, company_id)
    removed: dict[str, int] = {}
    with ExitStack() as held:
        for connection_id in ids.connection_ids:
            held.enter_context(store.run_lock(connection_id))
        # Files first: on a full disk they give the room for the rest.
        _remove_files(store, ids, removed)
        removed |= {f"ledger.{table}": rows for table, rows in store.forget(company_id).items()}
        _empty_control(control_place(config), ids, removed, now)
        _remove_dead_runs(store, now)
        for connection_id in ids.connection_ids:
            locks.lock_file(store.directory, f"connection-{connection_id}").unlink(missing_ok=True)
            locks.lock_file(store.directory, f"connection-{connection_id}").with_suffix(".holder").unlink(
                missing_ok=True
            )
        with locks.held(store.directory, "store", what="The store", since=now, wait=_LOCK_WAIT):
            traces = [*search(store.directory, ids.words), *store.traces(company_id)]
    return Forgotten(ids, removed, tuple(traces))


def ids_of(config: Config, store: Store, company_id: str) -> Ids:
    """What the configuration, the ledger and the control file know of a company. ConfigError when nothing does."""
    connections = {one.id for company, one in config.pairs() if company.id == company_id}
    merchants = {one.merchant_id for company, one in config.pairs() if company.id == company_id}
    others = {one.merchant_id for company, one in config.pairs() if company.id != company_id}
    records: set[str] = set()
    try:
        with store.open_reader() as reader:
            for owner, connection_id, merchant_id in reader.connection.execute(
                "SELECT company_id, connection_id, merchant_id FROM ledger.connections"
            ).fetchall():
                if owner == company_id:
                    connections.add(connection_id)
                    merchants.add(merchant_id)
                else:
                    others.add(merchant_id)
            for sql in (
                "SELECT DISTINCT order_id FROM ledger.order_versions WHERE company_id = ?",
                "SELECT DISTINCT record_id FROM ledger.source_records WHERE company_id = ?",
                "SELECT DISTINCT customer_id FROM ledger.order_versions WHERE company_id = ?"
                " AND customer_id IS NOT NULL",
            ):
                rows = reader.connection.execute(f"{sql} ORDER BY 1 LIMIT {_SAMPLE}", [company_id]).fetchall()
                records |= {str(record_id) for (record_id,) in rows}
    except StoreError:
        pass  # nothing published yet
    known = None
    if control_is_there(control_place(config)):
        try:
            with closing(_control(control_place(config))) as control:
                of_it = "SELECT connection_id FROM connections WHERE company_id = ?"
                connections |= {row["connection_id"] for row in control.rows(of_it, (company_id,))}
                known = control.row("SELECT 1 FROM companies WHERE company_id = ?", (company_id,))
        except StoreError:
            # On a full disk the file opens only once something was removed. Its rows go by the company's id.
            if not connections:
                raise
    if not connections and known is None:
        raise ConfigError(
            f"There is no company {company_id} in the store or the config.", hint="connector status"
        )
    words = {company_id, *connections, *(merchants - others), *records}
    return Ids(company_id, tuple(sorted(connections)), tuple(sorted(words)))


def _remove_files(store: Store, ids: Ids, removed: dict[str, int]) -> None:
    raw, credentials = store.directory / "raw", store.directory / "credentials"
    for connection_id in ids.connection_ids:
        payloads = len(list((raw / connection_id).glob("*"))) if raw.exists() else 0
        delete_archive(raw, connection_id)
        removed["raw files"] = removed.get("raw files", 0) + payloads
        for path in credentials.glob(f"{connection_id}.*"):
            path.unlink()
            removed["OAuth pairs"] = removed.get("OAuth pairs", 0) + (path.suffix == ".fernet")


def _empty_control(place: Place, ids: Ids, removed: dict[str, int], now: datetime) -> None:
    if not control_is_there(place):
        return
    with closing(_control(place)) as control:
        counted = control.row("SELECT count(*) AS n FROM access_log WHERE company_id = ?", (ids.company_id,))
        reads = 0 if counted is None else int(counted["n"])
        if reads:
            control.write("INSERT INTO forgotten_reads VALUES (?, ?)", (stamp(now), reads))
        with control.transaction() as db:
            removed["OAuth pairs"] = removed.get("OAuth pairs", 0) + delete_pairs(db, ids.connection_ids)
        for table in ("alert_episodes", "alert_watched"):
            rows = control.write(f"DELETE FROM {table} WHERE company_id = ?", (ids.company_id,))  # noqa: S608
            removed[f"control.{table}"] = rows
        for table, rows in api_forget.forget_in_control(control, ids.company_id).items():
            removed[f"control.{table}"] = rows


def _remove_dead_runs(store: Store, now: datetime) -> None:
    """What killed runs left in staging goes when the next run begins; so one begins."""
    run_id = f"forget-{now:%Y%m%dT%H%M%S}"
    store.begin_run(run_id)
    store.end_run(run_id)


def _control(place: Place) -> ControlDatabase:
    return open_control(
        place,
        *kept.NEEDED,
        api_keys.TABLES,
        api_access_log.TABLES,
        api_refreshes.TABLES,
        links.TABLES,
        outbox.TABLES,
        api_webhooks.TABLES,
        alert_book.TABLES,
        TABLES,
    )
