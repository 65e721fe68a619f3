"""What a fleet stands on, as this host sees it: database, clock, bucket, cache, and the key that all hosts share."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from connector.cli.check.clover import CLOCK_TOLERANCE, LITTLE_SPACE, Finding, existing, unwritable
from connector.cli.check.store import examine_access_log, examine_age, examine_time_zones
from connector.config import Config, FleetPlace
from connector.control.place import open_control
from connector.errors import ConnectorError
from connector.ledger.connection_state import ConnectionState


def examine_fleet(
    config: Config, states: Callable[[], Mapping[str, ConnectionState]], *, now: datetime
) -> Iterator[Finding]:
    """Everything below. Reads, and writes nothing but the tables that are missing."""
    place = config.fleet
    assert place is not None, "only a fleet gets here"
    database = _examine_database(place, now)
    yield database
    if database.verdict == "failed":
        return
    yield _examine_bucket(place)
    yield from _examine_cache(place)
    yield _examine_key(config)
    yield examine_time_zones(config, now=now)
    yield from examine_access_log(place, keep_days=config.api.access_log_days, now=now)
    yield from examine_age(config, None, now=now, states=states())


def _examine_database(place: FleetPlace, now: datetime) -> Finding:
    try:
        row = open_control(place).row(
            "SELECT clock_timestamp() AS now, current_setting('server_version') AS version"
        )
    except ConnectorError as error:
        return Finding("database", "failed", error.message, error.hint)
    assert row is not None
    apart = abs(row["now"] - now)
    if apart > CLOCK_TOLERANCE:
        return Finding(
            "database",
            "warning",
            f"the clocks of this host and of PostgreSQL ({place.host}) are {apart // timedelta(seconds=1)} s apart",
            "Set both by NTP: leases go by the database's, schedules by the host's.",
        )
    return Finding("database", "ok", f"PostgreSQL {row['version']}, {place.host}; clocks agree")


def _examine_bucket(place: FleetPlace) -> Finding:
    from connector.fleet.bucket import Bucket

    try:
        next(iter(Bucket(place.bucket).list("companies")), None)
    except ConnectorError as error:
        return Finding("bucket", "failed", error.message, error.hint)
    from connector.fleet.store import FleetStore
    from connector.ledger.interface import now_utc

    fleet = FleetStore(place, clock=now_utc)
    try:
        lost = fleet.lost_objects()
    except ConnectorError as error:
        return Finding("bucket", "failed", error.message, error.hint)
    finally:
        fleet.close()
    if lost:
        return Finding(
            "bucket",
            "failed",
            f"{len(lost)} object(s) of newest states are gone or cut short in {place.bucket}: {lost[0]}",
            "Bring them back from the bucket's versions or its replica; the company cannot be read until then.",
        )
    return Finding("bucket", "ok", f"{place.bucket} has every company's newest state")


def _examine_cache(place: FleetPlace) -> Iterator[Finding]:
    if (shut := unwritable(place.cache)) is not None:
        yield Finding(
            "cache", "failed", f"{shut} cannot be written", "Run as its owner, or set `cache` elsewhere."
        )
        return
    free = shutil.disk_usage(existing(place.cache)).free
    text = f"{place.cache}, {free / 2**30:.1f} GiB free"
    if free < LITTLE_SPACE:
        yield Finding(
            "cache",
            "warning",
            text,
            "Free some: each company that this host reads or serves needs room there.",
        )
    else:
        yield Finding("cache", "ok", text)


def _examine_key(config: Config) -> Finding:
    """Whether the pairs that hosts share can be opened here."""
    from connector.sync.connect.oauth import credentials_of

    needs = [one for _, one in config.enabled_pairs() if one.oauth is not None or one.credential == "kept"]
    if not needs:
        return Finding("key", "ok", "no connection has OAuth tokens, so none is needed")
    try:
        credentials_of(config).load(needs[0].id)
    except ConnectorError as error:
        return Finding("key", "failed", error.message, error.hint)
    return Finding("key", "ok", "it opens the OAuth tokens that the hosts share")
