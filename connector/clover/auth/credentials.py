"""OAuth pairs at rest: one encrypted file per connection, replaced whole or not at all.

The key comes from CONNECTOR_KEY or from a key file and never lies in the same file as what it opens. Asking
Clover for pairs is ``connector.clover.auth.oauth``'s.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from filelock import FileLock, Timeout

from connector.errors import ConfigError, StoreBusy, StoreError
from connector.files import make_private, refuse_foreign, replace_private

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LOCK_SECONDS = 120.0  # longer than a refresh with its retries


class PairStore(Protocol):
    """Where the pairs of connections are kept, encrypted."""

    @property
    def save_again_seconds(self) -> float:
        """How long saving a pair that Clover has just given is worth trying again."""

    def load(self, connection_id: str) -> dict[str, object] | None:
        """What is stored for a connection, or None. Raises ConfigError when the key does not open it."""

    def save(self, connection_id: str, values: Mapping[str, object]) -> None:
        """Stores the values so that they survive a loss of power. Raises StoreError."""

    def lock(self, connection_id: str) -> AbstractContextManager[None]:
        """Keeps everybody else from refreshing the same connection at the same time."""


class Seal:
    """Encrypts and opens what is stored.

    keys: Fernet keys, newest first; the first encrypts, all decrypt.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigError(
                "There is no key to open the stored OAuth tokens with.",
                hint="Set CONNECTOR_KEY or key_file to the key they were stored with. If it is lost: "
                "connector authorize",
            )
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ConfigError(
                "CONNECTOR_KEY or the key file holds something that is no key.",
                hint="A key is 44 characters of base64. Separate several by commas, the newest first.",
            ) from None

    def closed(self, values: Mapping[str, object]) -> bytes:
        """Readable by whoever has the key."""
        return self._fernet.encrypt(orjson.dumps(values))

    def opened(self, sealed: bytes, connection_id: str) -> dict[str, object] | None:
        """What ``closed`` was given. Raises ConfigError when the key does not open it."""
        try:
            stored = orjson.loads(self._fernet.decrypt(sealed))
        except (InvalidToken, orjson.JSONDecodeError):
            raise ConfigError(
                f"The stored tokens of connection {connection_id} cannot be opened with the present key.",
                hint="Set CONNECTOR_KEY or key_file to the key they were stored with. If it is lost: "
                f"connector authorize --connection {connection_id}",
            ) from None
        return stored if isinstance(stored, dict) else None


class EncryptedCredentials:
    """The credentials of all connections, in ``<directory>/<connection_id>.fernet``, for their owner's eyes."""

    save_again_seconds = 0.0

    def __init__(self, directory: Path, keys: Sequence[str]) -> None:
        self._seal = Seal(keys)
        self._directory = Path(directory)

    def load(self, connection_id: str) -> dict[str, object] | None:
        """What is stored for a connection, or None. Raises ConfigError when the key does not open it."""
        try:
            sealed = _path(self._directory, connection_id).read_bytes()
        except FileNotFoundError:
            return None
        return self._seal.opened(sealed, connection_id)

    def save(self, connection_id: str, values: Mapping[str, object]) -> None:
        """Stores the values so that they survive a loss of power; the old ones stay until then.

        Raises StoreError when they cannot be written.
        """
        path = _path(self._directory, connection_id)
        try:
            refuse_foreign(self._directory)
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_private(path, self._seal.closed(values))
        except OSError as error:
            raise StoreError(
                f"The OAuth tokens of connection {connection_id} cannot be stored: {error.strerror}.",
                hint=f"Make room or correct the permissions of {self._directory}, then sync again.",
            ) from None

    def lock(self, connection_id: str) -> AbstractContextManager[None]:
        """Keeps other processes from refreshing the same connection at the same time."""
        return refresh_lock(self._directory, connection_id)

    def __repr__(self) -> str:
        return f"EncryptedCredentials({str(self._directory)!r})"


def _path(directory: Path, connection_id: str) -> Path:
    if not _SAFE_NAME.fullmatch(connection_id):
        raise ConfigError(f"{connection_id!r} cannot be a connection id.", hint="Use letters, digits and -.")
    return directory / f"{connection_id}.fernet"


@contextmanager
def refresh_lock(directory: Path, connection_id: str) -> Iterator[None]:
    """The lock of one connection among the processes of this machine, a file in ``directory``. Raises StoreBusy."""
    refuse_foreign(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(_path(directory, connection_id).with_suffix(".lock"), timeout=LOCK_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise StoreBusy(
            f"Another process is renewing the token of connection {connection_id} already.",
            hint="Wait for it or end it, then sync again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def load_keys(key_file: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The keys of CONNECTOR_KEY, else those of the key file; newest first, empty when there are none.

    Raises ConfigError when others may read the key file.
    """
    if text := environ.get("CONNECTOR_KEY", "").strip():
        return _keys_in(text)
    if key_file is None or not key_file.exists():
        return []
    if stat.S_IMODE(key_file.stat().st_mode) & 0o077:
        raise ConfigError(
            f"The key file {key_file} can be read by others.",
            hint=f"Keep it to yourself: chmod 600 {key_file}",
        )
    return _keys_in(key_file.read_text(encoding="ascii", errors="replace"))


def ensure_key_file(key_file: Path) -> bool:
    """Makes a key file with a new key unless there is one. Returns whether it was made."""
    refuse_foreign(key_file.parent)
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        make_private(key_file, Fernet.generate_key() + b"\n")
    except FileExistsError:
        return False
    return True


def _keys_in(text: str) -> list[str]:
    return [key for key in re.split(r"[\s,]+", text) if key]
