"""The key that signs evidence files: Ed25519, made when first needed, in ``<store>/evidence.key`` for its owner only.

Whoever checks a file must know the public half from the operator, not from the file: ``connector evidence key`` and
the read API show it. The key is in no backup; a new one signs later files, and the old public half still checks old
ones.
"""

import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from connector.errors import ConfigError
from connector.files import make_private, refuse_foreign

FILE = "evidence.key"


def signing_key(directory: Path) -> Ed25519PrivateKey:
    """The store's key. Raises ConfigError when others may read the file, or it holds something else."""
    path = directory / FILE
    if not path.exists():
        refuse_foreign(directory)
    with suppress(FileExistsError):
        _make(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"The key file {path} can be read by others.", hint=f"chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{path} holds no Ed25519 key.",
            hint="Put the key back, or move the file away: a new key is made.",
        )
    return key


def public_half(key: Ed25519PrivateKey) -> bytes:
    """32 bytes."""
    return key.public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """How people compare keys: SHA-256 of the 32 bytes, in hexadecimal."""
    return sha256(public).hexdigest()


def is_signed(public: bytes, signature: bytes, content: bytes) -> bool:
    """Whether the holder of the key signed exactly this."""
    from cryptography.exceptions import InvalidSignature

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(path: Path) -> None:
    if path.exists():
        raise FileExistsError(path)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    make_private(path, pem)
