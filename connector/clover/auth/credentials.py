"""OAuth pairs at rest: one encrypted file per connection, replaced whole or not at all.

The key comes from CONNECTOR_KEY or from a key file and never lies in the same file as what it opens. Asking
Clover for pairs is ``connector.clover.auth.oauth``'s.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from filelock import FileLock, Timeout

from connector.errors import ConfigError, StoreBusy, StoreError
from connector.files import make_private, refuse_foreign, replace_private

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOCK_SECONDS = 120.0  # longer than a refresh with its retries


class EncryptedCredentials:
    """The credentials of all connections, in ``<directory>/<connection_id>.fernet``, for their owner's eyes.

    keys: Fernet keys, newest first; the first encrypts, all decrypt.
    """

    def __init__(self, directory: Path, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigError(
                "There is no key to open the stored OAuth tokens with.",
                hint="Set CONNECTOR_KEY or key_file to the key they were stored with. If it is lost: "
                "connector authorize",
            )
        self._directory = Path(directory)
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ConfigError(
                "CONNECTOR_KEY or the key file holds something that is no key.",
                hint="A key is 44 characters of base64. Separate several by commas, the newest first.",
            ) from None

    def load(self, connection_id: str) -> dict[str, object] | None:
        """What is stored for a connection, or None. Raises ConfigError when the key does not open it."""
        path = self._path(connection_id)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            stored = orjson.loads(self._fernet.decrypt(sealed))
        except (InvalidToken, orjson.JSONDecodeError):
            raise ConfigError(
                f"The stored tokens of connection {connection_id} cannot be opened with the present key.",
                hint="Set CONNECTOR_KEY or key_file to the key they were stored with. If it is lost: "
                f"connector authorize --connection {connection_id}",
            ) from None
        return stored if isinstance(stored, dict) else None

    def save(self, connection_id: str, values: Mapping[str, object]) -> None:
        """Stores the values so that they survive a loss of power; the old ones stay until then.

        Raises StoreError when they cannot be written.
        """
        path = self._path(connection_id)
        try:
            refuse_foreign(self._directory)
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_private(path, self._fernet.encrypt(orjson.dumps(values)))
        except OSError as error:
            raise StoreError(
                f"The OAuth tokens of connection {connection_id} cannot be stored: {error.strerror}.",
                hint=f"Make room or correct the permissions of {self._directory}, then sync again.",
            ) from None

    def lock(self, connection_id: str) -> "_Lock":
        """Keeps other processes from refreshing the same connection at the same time."""
        refuse_foreign(self._directory)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _Lock(self._path(connection_id).with_suffix(".lock"), connection_id)

    def __repr__(self) -> str:
        return f"EncryptedCredentials({str(self._directory)!r})"

    def _path(self, connection_id: str) -> Path:
        if not _SAFE_NAME.fullmatch(connection_id):
            raise ConfigError(
                f"{connection_id!r} cannot be a connection id.", hint="Use letters, digits and -."
            )
        return self._directory / f"{connection_id}.fernet"


class _Lock:
    def __init__(self, path: Path, connection_id: str) -> None:
        self._lock = FileLock(path, timeout=_LOCK_SECONDS, mode=0o600)
        self._connection_id = connection_id

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise StoreBusy(
                f"Another process is renewing the token of connection {self._connection_id} already.",
                hint="Wait for it or end it, then sync again.",
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


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
