"""Private files that are whole or not there, also after a loss of power."""

import os
from pathlib import Path


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
