"""Writes a store into one file that can be checked, and makes a store from it again.

A backup is a tar archive: the newest published file, ``control.sqlite``, the raw payloads, the encrypted OAuth pairs,
and last ``manifest.json`` with the hash of every member and the counts and sums of the orders. The published file is
immutable, so a backup disturbs no sync. The key that opens the OAuth pairs is not in it. While it is made everything of
it stands in one locked directory beside the target; what a killed backup left of its own is removed by the next.
"""

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import duckdb

from connector.control.file import FILE as CONTROL
from connector.control.file import control_errors, refuse_damaged, refuse_if_lost
from connector.errors import StoreError
from connector.files import flush
from connector.ledger.database import private_directory, quoted, store_errors, unwritten_log
from connector.ledger.places import commit_of, name_in_store, published_file
from connector.ledger.publish import copy_whole

MANIFEST = "manifest.json"
FORMAT = 1
_MAKING = ".making-backup"
_NAMED = re.compile(r"connector-\d{8}T\d{6}Z\.tar")
# Also kept: what runs have read, and the encrypted OAuth pairs. Locks and half-made files are not.
_DIRECTORIES = ("raw", "credentials")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What a store's published file adds up to. sums: currency -> [orders, totalAmount, totalRefund] as text."""

    schema: int
    commit: int
    tables: Mapping[str, int]
    sums: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a backup. made_at: UTC, ISO 8601. published: which member is the published file.

    files: member -> [bytes, SHA-256 in hexadecimal]. store: the directory it was made of; empty where an older version
    did not say.
    """

    format: int
    made_at: str
    published: str
    figures: Figures
    files: Mapping[str, list[Any]]
    store: str = ""

    @property
    def size(self) -> int:
        """Bytes of all members together."""
        return sum(int(size) for size, _ in self.files.values())


def make_backup(directory: Path, target: Path, *, at: datetime) -> Manifest:
    """Write the store into a new file, read it back, and compare. Raises StoreError; an existing file is kept.

    at: aware UTC.
    """
    published = published_file(directory)
    commit = None if published is None else commit_of(published)
    if published is None or commit is None:
        raise StoreError(
            f"Nothing has been published in {directory} yet, so there is nothing to keep.",
            hint="connector sync",
        )
    if target.exists():
        raise StoreError(f"{target} is there already. Nothing was written.", hint="Choose another name.")
    with store_errors(target, "write the backup"):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(target.parent)
        with _making(target) as workshop:
            draft = workshop / "backup.tar"
            # Opened first: should three publications remove the file meanwhile, its contents stay with us.
            with _whole(published, workshop) as file, draft.open("xb") as out:
                draft.chmod(0o600)
                manifest = _write(directory, file, name_in_store(commit), out, at, workshop)
                out.flush()
                os.fsync(out.fileno())
            verify_backup(draft)
            draft.rename(target)
            flush(target.parent)
    return manifest


@contextmanager
def _whole(published: Path, workshop: Path) -> Iterator[IO[bytes]]:
    """The published file; where small loads lie in a log beside it, a copy that holds them too."""
    if unwritten_log(published) is None:
        with published.open("rb") as file:
            yield file
        return
    copy = workshop / "whole.duckdb"
    copy_whole(published, copy)
    with copy.open("rb") as file:
        yield file


def default_name(at: datetime) -> str:
    """The file name of a backup that was given a directory; those that ``remove_older`` counts."""
    return f"connector-{at:%Y%m%dT%H%M%SZ}.tar"


def remove_older(target: Path, store: Path, *, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` backups of a store beside ``target``, which counts. What was removed.

    Only files that were named by their time and say in their manifest that they are of this store.
    """
    named = sorted((path for path in target.parent.iterdir() if _NAMED.fullmatch(path.name)), reverse=True)
    ours = [path for path in named if path == target or _store_of(path) == str(store.resolve())]
    removed = ours[keep:]
    with store_errors(target.parent, "remove older backups"):
        for path in removed:
            path.unlink()
    return removed


def remove_unfinished(directory: Path) -> None:
    """Remove what killed backups left in a directory; that of one that is still being made is locked, and stays."""
    for path in directory.glob(f".*{_MAKING}"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone meanwhile, or another user's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


@contextmanager
def _making(target: Path) -> Iterator[Path]:
    """A directory for everything that is made on the way, locked as long as this process lives."""
    workshop = target.with_name(f".{target.name}{_MAKING}")
    try:
        workshop.mkdir(mode=0o700)
    except FileExistsError:
        raise StoreError(
            f"Another backup is writing {target}. Nothing was written.",
            hint="Wait for it, or choose another name.",
        ) from None
    descriptor = os.open(workshop, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
        os.close(descriptor)


def _store_of(path: Path) -> str | None:
    """The store that a backup says it is of; None when it does not say, or cannot be read."""
    try:
        with tarfile.open(path) as archive:
            file = archive.extractfile(MANIFEST)
            return None if file is None else _parse(file.read(), path).store
    except (OSError, tarfile.TarError, EOFError, KeyError, StoreError):
        return None


def verify_backup(path: Path) -> Manifest:
    """Read every byte of a backup and compare with its manifest. Raises StoreError at the first difference."""
    seen: dict[str, list[Any]] = {}
    manifest = None
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is None:
                    raise _damaged(path, f"{member.name} is no file")
                if member.name == MANIFEST:
                    manifest = _parse(file.read(), path)
                else:
                    seen[member.name] = [member.size, _digest(file)]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _damaged(path, f"it cannot be read ({error})") from None
    if manifest is None:
        raise _damaged(path, "it has no manifest; it was cut short, or is no backup")
    for name in sorted(seen.keys() | manifest.files.keys()):
        if seen.get(name) != manifest.files.get(name):
            raise _damaged(path, f"{name} is not as it was written")
    return manifest


def figures(path: Path) -> Figures:
    """Schema version, counts of every table, and sums of the current orders, of a published file."""
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    with closing(connection), store_errors(path, "read"):
        connection.execute(f"ATTACH {quoted(path)} AS commerce (READ_ONLY)")
        connection.execute("USE commerce")
        names = [
            str(name)
            for (name,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'ledger'"
                " AND database_name = 'commerce' ORDER BY 1"
            ).fetchall()
        ]
        tables = {
            name: _number(connection, f"SELECT count(*) FROM ledger.{name}")  # noqa: S608 - names of its own
            for name in names
        }
        sums = connection.execute(
            "SELECT currency, count(*), CAST(sum(total_amount) AS VARCHAR), CAST(sum(total_refund) AS VARCHAR)"
            " FROM ledger.order_versions WHERE replaced_by IS NULL AND NOT is_deleted GROUP BY 1 ORDER BY 1"
        ).fetchall()
        return Figures(
            schema=_number(connection, "SELECT coalesce(max(version), 0) FROM ledger.migrations"),
            commit=_number(connection, "SELECT commit_id FROM ledger.publication"),
            tables=tables,
            sums={str(currency): [str(value) for value in rest] for currency, *rest in sums},
        )


def unpack(path: Path, directory: Path) -> None:
    """Write the members of a verified backup into an empty directory, readable by their owner only."""
    with store_errors(directory, "restore"), tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None or member.name == MANIFEST:
                continue
            target = directory / member.name
            if not target.resolve().is_relative_to(directory.resolve()):
                raise _damaged(path, f"{member.name} leads out of the store")
            private_directory(target.parent)
            with target.open("xb") as out:
                target.chmod(0o600)
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())


def _write(
    directory: Path, published: IO[bytes], name: str, out: IO[bytes], at: datetime, workshop: Path
) -> Manifest:
    files: dict[str, list[Any]] = {}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        files[name] = _add(archive, name, published, at)
        refuse_if_lost(directory)
        if (directory / CONTROL).exists():
            with _copy_of_control(directory, workshop) as file:
                files[CONTROL] = _add(archive, CONTROL, file, at)
        for other, found in _others(directory):
            try:
                with found.open("rb") as file:
                    files[other] = _add(archive, other, file, at)
            except FileNotFoundError:
                continue  # deleted meanwhile by retention
        manifest = Manifest(
            FORMAT,
            at.isoformat(),
            name,
            figures_of_open(published, workshop),
            files,
            str(directory.resolve()),
        )
        text = json.dumps(asdict(manifest), indent=1, sort_keys=True).encode()
        _add(archive, MANIFEST, io.BytesIO(text), at)
    return manifest


def figures_of_open(published: IO[bytes], workshop: Path) -> Figures:
    """The figures of a published file that may have lost its name meanwhile; ``workshop`` has room for a copy."""
    path = Path(published.name)
    if path.exists():
        return figures(path)
    copy = workshop / "published.duckdb"
    published.seek(0)
    with copy.open("xb") as out:
        copy.chmod(0o600)
        shutil.copyfileobj(published, out, _CHUNK)
    try:
        return figures(copy)
    finally:
        copy.unlink()


def _others(directory: Path) -> Iterator[tuple[str, Path]]:
    for name in _DIRECTORIES:
        for path in sorted((directory / name).rglob("*")):
            if path.is_file() and path.suffix not in (".lock", ".new"):
                yield str(path.relative_to(directory)), path


def _copy_of_control(directory: Path, workshop: Path) -> IO[bytes]:
    """A consistent copy of the control file while others write to it; an unnamed file."""
    copy = workshop / CONTROL
    copy.touch(mode=0o600)
    with (
        control_errors(directory / CONTROL),
        closing(sqlite3.connect(directory / CONTROL, timeout=30)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        refuse_damaged(target)
    file = copy.open("rb")
    copy.unlink()
    return file


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes], at: datetime) -> list[Any]:
    """Add a file as long as it is now; [bytes, SHA-256]. A payload that still grows is kept up to here."""
    member = tarfile.TarInfo(name)
    file.seek(0, os.SEEK_END)
    member.size = file.tell()
    file.seek(0)
    member.mtime, member.mode = int(at.timestamp()), 0o600
    reading = _Hashing(file, member.size)
    archive.addfile(member, reading)  # type: ignore[arg-type] # needs nothing but read()
    return [member.size, reading.hash.hexdigest()]


class _Hashing:
    """Reads so many bytes of a file and hashes them on the way."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left, self.hash = file, size, hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self._file.read(min(size, self._left))
        self._left -= len(chunk)
        self.hash.update(chunk)
        return chunk


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        found.update(chunk)
    return found.hexdigest()


def _parse(text: bytes, path: Path) -> Manifest:
    try:
        document = json.loads(text)
        if int(document["format"]) > FORMAT:
            raise StoreError(
                f"{path} was written by a newer version of the connector.",
                hint="Upgrade: pip install --upgrade clover-codat-connector",
            )
        return Manifest(**{**document, "figures": Figures(**document["figures"])})
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, "its manifest cannot be read") from None


def _number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The backup {path} is not whole: {why}. Nothing was restored from it.", hint="Use another backup."
    )
