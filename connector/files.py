"""Private files that are whole or not there, also after a loss of power; and whose directory may be written."""

import os
import pwd
from pathlib import Path

from connector.errors import StoreNotOurs


def refuse_foreign(directory: Path) -> None:
    """Raises StoreNotOurs for root in a directory of another user, or where one would be made in such a directory.

    What root makes there its owner could not write any more: one key created with sudo would stop the service.
    """
    if os.geteuid() != 0:
        return  # anybody else meets the permissions themselves
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    owner, group = existing.stat().st_uid, existing.stat().st_gid
    if owner == 0:
        return
    name = user_name(owner)
    place = existing.resolve()
    if Path("/var/lib/private") in place.parents:
        how = (
            f"As the service does, whose user is {name}: sudo connector-run …   (deploy/systemd/connector-run); a"
            " backup may be made as root."
        )
    else:
        account = f"#{owner}" if name == str(owner) else name
        how = (
            f"Run it as its owner: sudo -u '{account}' connector …   (in a container: --user {owner}:{group}). A backup"
            " may be made as root."
        )
    raise StoreNotOurs(f"{place} belongs to {name}, and this is root. Nothing was written.", hint=how)


def user_name(number: int) -> str:
    """The name of a user of this machine, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def replace_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read; what was there stays until all of it is on the disk. OSError."""
    draft = _draft(path, data)
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    flush(path.parent)


def make_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read. FileExistsError when one is there: the first of two stays."""
    draft = _draft(path, data)
    try:
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Have the disk keep a file, or the names in a directory, before the next step relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft(path: Path, data: bytes) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft
