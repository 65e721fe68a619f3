"""The bucket: S3, Google's or Azure's object storage, or a directory that all hosts see. One code for all.

companies/COMPANY/000000042-9f3c21d4.duckdb       a published state; never written twice
companies/COMPANY/000000043-77aa01bc.duckdb.wal   what small loads have added to an earlier one
companies/COMPANY/raw/CONNECTION/RUN-0001.jsonl.gz   what Clover sent
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from connector.control.postgres import FleetAway
from connector.errors import StoreDamaged
from connector.files import flush

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CHUNK = 8 << 20
_RETRY: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_CLIENT: Any = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}


class Bucket:
    """Objects by key. Opened with the first use. Safe to share between threads. Raises FleetAway, StoreDamaged."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._directory = None if "://" in url else Path(url)
        self._opened: ObjectStore | None = None

    def put(self, source: Path, key: str) -> str:
        """Write a file as an object; its SHA-256, of what was read for it."""
        digest = sha256_of(source)
        with self._errors(f"write {key}"):
            obstore.put(self._store(), key, source, chunk_size=_CHUNK, max_concurrency=4)
            if self._directory is not None:
                flush(self._directory / key)
                flush((self._directory / key).parent)
        return digest

    def get(self, key: str, target: Path, *, sha256: str | None = None) -> None:
        """Write an object into a new private file. sha256: StoreDamaged where it is another. FileNotFoundError."""
        found = hashlib.sha256()
        with self._errors(f"read {key}"), target.open("xb") as out:
            target.chmod(0o600)
            for chunk in obstore.get(self._store(), key).stream(min_chunk_size=_CHUNK):
                out.write(chunk)
                found.update(chunk)
            out.flush()
            os.fsync(out.fileno())
        if sha256 is not None and found.hexdigest() != sha256:
            target.unlink()
            raise StoreDamaged(
                f"{key} in {self.url} is not as it was written. Nothing was taken from it.",
                hint="connector restore a backup of this company; connector check names what else is damaged.",
            )

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """(key, bytes) of every object below a prefix."""
        with self._errors(f"list {prefix}"):
            for batch in obstore.list(self._store(), prefix):
                for found in batch:
                    yield found["path"], found["size"]

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        for key in keys:
            with self._errors(f"remove {key}"):
                try:
                    obstore.delete(self._store(), key)
                except FileNotFoundError:
                    continue

    def _store(self) -> "ObjectStore":
        if self._opened is None:
            if self._directory is not None:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._opened = LocalStore(self._directory)
            else:
                # As the SDKs of the clouds have it: unencrypted only where the environment says so.
                plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
                client: Any = {**_CLIENT, "allow_http": plain}
                self._opened = from_url(self.url, client_options=client, retry_config=_RETRY)
        return self._opened

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            said = str(error).strip().splitlines()
            raise FleetAway(
                f"Could not {doing} in the bucket {self.url}: {said[0][:200] if said else 'no reason given'}."
                " What was published is unharmed.",
                hint="Correct `bucket`, its credentials or the network; the next run goes on where this one ended.",
            ) from error


def company_prefix(company_id: str) -> str:
    """Below which everything of a company lies; an id of any shape is safe in it."""
    return f"companies/{safe_name(company_id)}"


def safe_name(name: str) -> str:
    """As one part of a key or a path, whatever the name is; different names stay different."""
    quoted = quote(name, safe="").replace("%", "=")
    return quoted if quoted.strip(".") else quoted.replace(".", "=2E")


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
