"""What ``connector check`` looks at: each function examines one thing and says what it found."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from connector.config import Company, Config, Connection
from connector.errors import ConnectorError, PermissionMissing
from connector.ledger.places import commit_of, door, published_file

if TYPE_CHECKING:
    from connector.clover.http.client import CloverClient

Verdict = Literal["ok", "warning", "failed"]

LITTLE_SPACE = 1 << 30
"""Bytes. A publish writes a second copy of the store beside the first; below this a warning."""

CLOCK_TOLERANCE = timedelta(minutes=2)
"""Runs end at this machine's present. A clock ahead of Clover's by more than the overlap would skip sales."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check. todo: what to do, where something is to be done."""

    subject: str
    verdict: Verdict
    text: str
    todo: str | None = None


def examine_ids(config: Config) -> Iterator[Finding]:
    """The ids, given or made, since lenders and scripts need them. Those kept as data: `connector companies list`."""
    for company in (one for one in config.companies if not one.is_kept):
        for kind, name, one_id in (
            ("company", company.name, company.id),
            *(("connection", one.merchant_id, one.id) for one in company.connections),
        ):
            if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", one_id):
                yield Finding(f"{kind} {name}", "ok", f"id {one_id}")
            else:
                yield Finding(
                    f"{kind} {name}",
                    "warning",
                    f"id {one_id} is not a UUID",
                    "Codat clients may refuse it; use a UUID, or leave the id out and one is made.",
                )


def existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def unwritable(path: Path) -> Path | None:
    """What this account cannot make a file of the directory in: the directory, or the nearest that is there."""
    found = existing(path)
    return None if found.is_dir() and os.access(found, os.W_OK | os.X_OK) else found


def examine_store(store: str) -> Iterator[Finding]:
    """The directory, its owner's rights, and whether something was published."""
    directory = Path(store)
    if (shut := unwritable(directory)) is not None:
        yield Finding(
            "store",
            "failed",
            f"{shut} cannot be written",
            "Run as its owner, or set `store` to another place.",
        )
        return
    published = published_file(directory)
    if not directory.exists():
        yield Finding("store", "ok", f"{directory} will be made by the first sync")
    elif published is not None:
        commit = commit_of(published) or 0
        yield Finding("store", "ok", f"{directory}, {commit} commits; analysts open {door(directory)}")
    else:
        yield Finding("store", "ok", f"{directory}, nothing published yet")
    if directory.exists() and directory.stat().st_mode & 0o007:
        yield Finding(
            "store",
            "warning",
            f"{directory} is open to every user of this machine",
            f"chmod o-rwx {directory}",
        )
    free = shutil.disk_usage(existing(directory)).free
    used = 0 if published is None else published.stat().st_size
    if free < max(LITTLE_SPACE, 2 * used):
        yield Finding(
            "disk",
            "warning",
            f"{free / 2**30:.1f} GiB free",
            "A publish needs room for a second copy; free some.",
        )
    else:
        yield Finding("disk", "ok", f"{free / 2**30:.1f} GiB free")


def examine_clock(host_date: Callable[[], str | None], now: Callable[[], datetime]) -> Finding:
    """This machine's clock against the Date header of Clover's answer."""
    unread = Finding(
        "clock",
        "warning",
        "Clover's time could not be read; not compared",
        "See that this machine reaches Clover, then: connector check",
    )
    header = host_date()
    if header is None:
        return unread
    try:
        difference = now() - parsedate_to_datetime(header).astimezone(UTC)
    except (TypeError, ValueError):
        return unread
    seconds = int(difference.total_seconds())
    if abs(difference) > CLOCK_TOLERANCE:
        side = "ahead of" if seconds > 0 else "behind"
        return Finding(
            "clock",
            "failed",
            f"this machine is {abs(seconds)} s {side} Clover",
            "Set the clock (NTP); with a wrong clock sales are read late or not at all.",
        )
    return Finding("clock", "ok", f"within {max(1, abs(seconds))} s of Clover")


def examine_connection(
    company: Company, connection: Connection, open_client: Callable[[Connection], "CloverClient"]
) -> Iterator[Finding]:
    """One cheap read of each stream: does the token open it, and if not, which permission is missing."""
    from connector.clover.lists.streams import STREAMS

    subject = f"{company.name} {connection.merchant_id}"
    try:
        client = open_client(connection)
    except ConnectorError as error:
        yield Finding(subject, "failed", error.message, error.hint)
        return
    with client:
        for stream in STREAMS.values():
            try:
                client.get_json(stream.path, {"limit": 1}, permission=stream.permission)
            except PermissionMissing as error:
                yield Finding(
                    f"{subject} {stream.path}",
                    "failed",
                    f"the permission '{error.permission}' is missing",
                    error.hint or "Grant it to the app, then have the merchant install the app again.",
                )
            except ConnectorError as error:
                yield Finding(f"{subject} {stream.path}", "failed", error.message, error.hint)
                return
            else:
                yield Finding(f"{subject} {stream.path}", "ok", "token accepted, readable")
