"""What ``connector check`` looks at in a store that has been running: version, locks, room, growth, age, time zones."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from connector.cli.check.clover import Finding
from connector.cli.published import open_published
from connector.cli.terminal.output import bytes_text
from connector.cli.terminal.times import ago
from connector.config import Config
from connector.control.place import Place
from connector.errors import StoreBusy, StoreError, StoreNotOurs

if TYPE_CHECKING:
    import duckdb

    from connector.ledger.connection_state import ConnectionState

LONG_HELD = timedelta(hours=6)
"""A run this long is a large first sync, or hangs."""

LITTLE_TIME = timedelta(days=30)
"""Until the disk is full, as the store grew lately."""

LARGE_LOG = 1 << 30
"""Bytes of the file that holds keys and the access log; every request writes into it."""

_WEEK = timedelta(days=7)


def examine_operations(config: Config, *, now: datetime) -> Iterator[Finding]:
    """Everything below, for a store that is a directory."""
    directory = Path(config.store)
    yield examine_time_zones(config, now=now)
    if config.publish_to is not None:
        yield from examine_place(config)
    if not directory.is_dir():
        return
    yield from examine_locks(directory, now=now)
    yield from examine_files(directory, now=now)
    yield examine_room(directory, config.publish_to)
    yield examine_growth(directory, now=now)
    control = examine_control(directory)
    yield control
    if control.verdict == "ok":
        yield from examine_access_log(directory, keep_days=config.api.access_log_days, now=now)
    import duckdb

    try:
        with open_published(config.store) as published:
            yield examine_version(published)
            yield from examine_age(config, published, now=now)
    except (StoreError, duckdb.Error):
        return  # nothing published yet, or damaged, which the lines above say


def examine_version(published: "duckdb.DuckDBPyConnection") -> Finding:
    """The schema of the store against the one this version of the connector writes."""
    from connector.ledger.migrate import migrations

    row = published.execute("SELECT coalesce(max(version), 0) FROM ledger.migrations").fetchone()
    found, known = int(row[0]) if row else 0, max(number for number, _, _ in migrations())
    if found > known:
        return Finding(
            "version",
            "failed",
            f"the store has schema {found}, this version knows {known}",
            "Upgrade the connector: pip install --upgrade clover-codat-connector",
        )
    if found < known:
        return Finding("version", "ok", f"schema {found}; the next sync brings it to {known}")
    return Finding("version", "ok", f"schema {found}")


def examine_locks(directory: Path, *, now: datetime) -> Iterator[Finding]:
    """Who holds what, by the notes beside the locks: taking a lock to look at it could make a sync give up."""
    for note in sorted((directory / "locks").glob("*.holder")):
        try:
            held = json.loads(note.read_text())
            pid, since = int(held["pid"]), datetime.fromisoformat(held["since"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # being written, or just released
        if not _is_alive(pid):
            continue  # left by a killed process, which holds nothing any more
        age = now - since.astimezone(UTC)
        text = f"{note.stem} is held by process {pid} for {ago(since, now)}"
        if age > LONG_HELD and note.stem != "schedule":
            yield Finding(
                "lock", "warning", text, f"See what it does (ps -p {pid}); ending it is safe: kill {pid}"
            )
        else:
            yield Finding("lock", "ok", text)


def examine_files(directory: Path, *, now: datetime) -> Iterator[Finding]:
    """The writer's and the published file, each read through. What was set aside takes room until it is removed."""
    import duckdb

    from connector.ledger import locks
    from connector.ledger.database import WORK
    from connector.ledger.places import published_file
    from connector.ledger.verify import damage

    def examine(subject: str, path: Path, other: str) -> Finding:
        try:
            why = damage(path)
        except duckdb.Error as error:
            return Finding(
                subject, "failed", f"{path} cannot be read: {str(error).splitlines()[0]}",
                "Run as its owner; if that is not it, keep the file and report it.",
            )  # fmt: skip
        if why is None:
            return Finding(subject, "ok", f"{path} is whole, every block as it was written")
        return Finding(
            subject,
            "failed",
            f"{path} is damaged: {why}",
            f"connector sync makes it anew from {other}; look at the disk.",
        )

    if (published := published_file(directory)) is not None:
        yield examine("published file", published, WORK)
    if (work := directory / WORK).exists():
        try:
            with locks.held(directory, "store", what="The store", since=now, wait=0):
                yield examine("working file", work, "the newest published file that is whole")
        except StoreBusy as error:
            yield Finding(
                "working file", "ok", f"{WORK} is being written, so it was not read: {error.message}"
            )
        except StoreNotOurs as error:
            yield Finding(
                "working file",
                "warning",
                f"{error.message} It was not read, nor can you sync so.",
                error.hint,
            )
        except StoreError as error:
            yield Finding("working file", "failed", error.message, error.hint)
    for aside in sorted(directory.glob(f"{WORK}.damaged-*")):
        yield Finding(
            "set aside", "warning", f"{aside}, {bytes_text(aside.stat().st_size)}, was damaged",
            f"Remove it when nobody needs to look at it: rm {aside}",
        )  # fmt: skip


def examine_place(config: Config) -> Iterator[Finding]:
    """The directory that analysts are let into: whether its group gets there, and what is published so far."""
    from connector.ledger import PublishTo
    from connector.ledger.places import door, group_of

    place = config.publish_to
    assert place is not None
    wanted = PublishTo(place, config.publish_group, int(config.publish_mode, 8))
    if not place.exists():
        yield Finding("published", "ok", f"{place} will be made by the first sync")
        return
    try:
        group = group_of(wanted)
    except StoreError as error:
        yield Finding("published", "failed", error.message, error.hint)
        return
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            "published", "failed", f"{place} cannot be written", "Run as its owner, or change the owner."
        )
        return
    if group not in {place.stat().st_gid, os.getegid(), *os.getgroups()} and os.geteuid() != 0:
        yield Finding(
            "published", "failed", f"this account is no member of the group {group} of publish_to",
            f"usermod -aG {config.publish_group or group} ACCOUNT, then sign in anew",
        )  # fmt: skip
        return
    shut = [path for path in (place, *place.parents) if not _may_pass(path, group, wanted.mode)]
    if shut and wanted.mode & 0o044:
        yield Finding(
            "published", "warning", f"who may read the published file cannot pass {shut[0]}",
            f"chgrp {group} {shut[0]} && chmod g+rx {shut[0]}   (or let publish_to name another place)",
        )  # fmt: skip
    elif door(config.store_directory).parent != place:
        yield Finding("published", "ok", f"the next sync publishes to {place}")
    else:
        yield Finding("published", "ok", f"{door(config.store_directory)}, for its owner and group {group}")


def _may_pass(path: Path, group: int, mode: int) -> bool:
    """Whether a member of the group can get through a directory; with a mode for everybody, whether everybody can."""
    found = path.stat()
    if mode & 0o004:
        return bool(found.st_mode & 0o001)
    return bool(found.st_mode & (0o010 if found.st_gid == group else 0o001))


def examine_room(directory: Path, publish_to: Path | None = None) -> Finding:
    """Free disk, where copies are published, against what a publish needs: a second copy of the writer's file."""
    work = directory / "work.duckdb"
    needed = work.stat().st_size if work.exists() else 0
    is_there = publish_to is not None and publish_to.is_dir()
    free = shutil.disk_usage(publish_to if publish_to and is_there else directory).free
    text = f"{bytes_text(free)} free, a publish needs {bytes_text(needed)}"
    if free < needed:
        return Finding(
            "room",
            "failed",
            text,
            f"Free {bytes_text(needed - free)} or more, or move the store to a larger disk.",
        )
    return Finding("room", "ok", text)


def examine_growth(directory: Path, *, now: datetime) -> Finding:
    """What the raw payloads have grown by in the last week, and how long the disk lasts at that pace."""
    sizes = [found for path in (directory / "raw").rglob("*.gz") if (found := _stat(path)) is not None]
    total = sum(size for size, _ in sizes)
    lately = sum(size for size, changed in sizes if now - changed < _WEEK)
    a_day = lately / 7
    text = f"raw payloads {bytes_text(total)}, {bytes_text(a_day)} a day lately"
    free = shutil.disk_usage(directory).free
    if a_day and timedelta(days=min(free / a_day, 10**6)) < LITTLE_TIME:
        return Finding(
            "growth",
            "warning",
            f"{text}; the disk is full in {free / a_day:.0f} days",
            "Set raw_retention_days, or move the store to a larger disk.",
        )
    return Finding("growth", "ok", text)


def examine_control(directory: Path) -> Finding:
    """The file of keys, webhooks and alerts: whole, and open for writing to whoever runs this."""
    from connector.control.file import FILE, examine

    try:
        examine(directory)
    except StoreBusy as error:
        return Finding("control file", "warning", error.message, error.hint)
    except StoreError as error:
        return Finding("control file", "failed", error.message, error.hint)
    path = directory / FILE
    if not path.exists():
        return Finding("control file", "ok", f"no {FILE}: no keys, webhooks or alerts yet")
    if path.stat().st_uid != directory.stat().st_uid:
        return Finding(
            "control file",
            "failed",
            f"{path} belongs to another user than the store, whose service may not be able to write it",
            f"chown --reference={directory} {path}*",
        )
    return Finding("control file", "ok", f"{path} is whole and can be written")


def examine_access_log(place: Place, *, keep_days: int, now: datetime) -> Iterator[Finding]:
    """How large the log of who read what has grown; nothing where the API was never served."""
    from connector.control.access_log import access_log_size

    try:
        log = access_log_size(place, since=now - _WEEK)
    except StoreError as error:
        yield Finding("access log", "warning", error.message, error.hint)
        return
    if log is None:
        return
    since = f" since {log.oldest}" if log.oldest else ""
    text = (
        f"{log.rows:,} requests{since} (kept {keep_days} days), {log.refused:,} refused at the door in a week;"
        f" {'control.sqlite' if isinstance(place, Path) else 'in PostgreSQL'} {bytes_text(log.size)}"
    )
    if log.size > LARGE_LOG:
        yield Finding(
            "access log",
            "warning",
            text,
            "Set api.access_log_days lower; connector serve deletes what is older.",
        )
    else:
        yield Finding("access log", "ok", text)


def examine_age(
    config: Config,
    published: "duckdb.DuckDBPyConnection | None",
    *,
    now: datetime,
    states: "Mapping[str, ConnectionState] | None" = None,
) -> Iterator[Finding]:
    """The age of each connection's last success against its schedule. states: of a fleet."""
    from connector.cli.check.freshness import freshness
    from connector.schedule.alerts import stale_after

    for one in freshness(config, published, now=now, states=states):
        if not one.connection.enabled:
            continue
        subject = f"{one.company.name} {one.connection.merchant_id}"
        limit = stale_after(one.connection.schedule, config.alerts.stale_after_hours)
        todo = one.next_command or f"connector sync --company {one.company.id}"
        if warning := one.wrong_clock(now):
            yield Finding(subject, "warning", warning, f"Set the clock (NTP), then: {todo}")
        if one.last_success is None:
            yield Finding(subject, "warning", "no sync has succeeded yet", todo)
        elif limit is not None and now - one.last_success > limit:
            yield Finding(
                subject, "warning", f"last success {ago(one.last_success, now)} ago, which is too long", todo
            )
        else:
            yield Finding(subject, "ok", f"last success {ago(one.last_success, now)} ago")


def examine_time_zones(config: Config, *, now: datetime) -> Finding:
    """Each merchant's day, and how old the rules are that it is told by."""
    zones = sorted({connection.timezone for _, connection in config.pairs()})
    try:
        rules = version("tzdata")
    except PackageNotFoundError:
        return Finding(
            "time zones", "warning", "the package tzdata is not installed", "pip install --upgrade tzdata"
        )
    year = int(rules.split(".")[0])
    if now.year - year > 1:
        return Finding("time zones", "warning", f"rules of {rules}", "pip install --upgrade tzdata")
    return Finding("time zones", "ok", f"{', '.join(zones)}; rules of {rules}")


def _stat(path: Path) -> tuple[int, datetime] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None  # deleted by retention meanwhile
    return found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
