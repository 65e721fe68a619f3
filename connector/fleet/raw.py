"""What Clover sent, of one company, in the bucket: this host keeps a run's payloads only while it goes on."""

from datetime import UTC, datetime
from pathlib import Path

from connector.errors import StoreError
from connector.fleet.bucket import Bucket
from connector.ledger.database import private_directory, store_errors

_RUN_BEGAN = "%Y%m%dT%H%M%S"


class RawKeeping:
    """The payloads of one company. A connection's only under its run lock. Raises FleetAway, StoreError."""

    def __init__(self, bucket: Bucket, directory: Path, prefix: str) -> None:
        self._bucket, self._directory, self._prefix = bucket, directory, f"{prefix}/raw"
        self._kept: dict[Path, int] = {}

    def keep(self, connection_id: str, *, leave: bool = False) -> None:
        """Upload what is not in the bucket yet. leave: the run still writes; else nothing of it stays on this host."""
        folder = self._directory / connection_id
        if not folder.is_dir():
            return
        parts = sorted(folder.glob("*.jsonl.gz"))
        there = None
        for part in parts:
            size = part.stat().st_size
            if self._kept.get(part) != size:
                there = there or dict(self._bucket.list(f"{self._prefix}/{connection_id}"))
                key = self._key(connection_id, part.name)
                if there.get(key) != size:
                    self._bucket.put(part, key)
                self._kept[part] = size
        if leave:
            return
        with store_errors(folder, "remove payloads that are in the bucket"):
            for part in parts:
                part.unlink(missing_ok=True)
                self._kept.pop(part, None)

    def bring(self, connection_id: str) -> None:
        """Every payload of a connection onto this host, for a rebuild."""
        folder = private_directory(private_directory(self._directory) / connection_id)
        for key, size in list(self._bucket.list(f"{self._prefix}/{connection_id}")):
            target = folder / key.rpartition("/")[2]
            if target.exists() and target.stat().st_size >= size:
                continue
            target.unlink(missing_ok=True)
            try:
                self._bucket.get(key, target)
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def delete_older_than(self, connection_id: str, before: datetime) -> int:
        """Delete payloads of runs that began earlier than that (aware UTC); how many."""
        old = [
            key
            for key, _ in self._bucket.list(f"{self._prefix}/{connection_id}")
            if (began := _began(key)) is not None and began < before
        ]
        self._bucket.remove(old)
        return len(old)

    def _key(self, connection_id: str, name: str) -> str:
        if "/" in connection_id or connection_id.startswith("."):
            raise StoreError(f"{connection_id!r} cannot be part of a key in a bucket.")
        return f"{self._prefix}/{connection_id}/{name}"


def _began(key: str) -> datetime | None:
    """When the run of a payload began, by its id, which its name starts with."""
    try:
        return datetime.strptime(key.rpartition("/")[2][:15], _RUN_BEGAN).replace(tzinfo=UTC)
    except ValueError:
        return None
