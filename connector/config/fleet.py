"""Where a fleet keeps what: many hosts, one PostgreSQL, one bucket, a cache on each host."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

POSTGRES = ("postgresql", "postgres")
_BUCKET = re.compile(r"(s3|gs|az)://[^/]")


@dataclass(frozen=True, slots=True)
class FleetPlace:
    """What a store ``postgresql://…`` stands on.

    database_url: without a password, so that it may be shown. password: None leaves it to libpq (PGPASSWORD, .pgpass).
    bucket: ``s3://…``, ``gs://…``, ``az://…``, or an absolute directory that every host sees. cache: a directory of
    this host alone.
    """

    database_url: str
    bucket: str
    cache: Path
    password: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Database and host as messages name them: ``fleet at db:5432``."""
        parts = urlsplit(self.database_url)
        return (
            f"{parts.path.strip('/') or 'postgres'} at {parts.hostname or 'localhost'}:{parts.port or 5432}"
        )


def is_database(store: str) -> bool:
    """Whether ``store`` of the configuration names a PostgreSQL database, so that it is a fleet's."""
    return store.partition("://")[0].lower() in POSTGRES


def database_url(value: str) -> str:
    """The address of the database as written. Raises ValueError, which never quotes it: it may hold a password."""
    try:
        parts = urlsplit(value)
        holds_password = parts.password is not None
        named = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address of a database; write postgresql://user@host:5432/name") from None
    if holds_password or any(name.lower() == "password" for name, _ in parse_qsl(parts.query)):
        raise ValueError(
            "must not carry a password, so that it can be shown; write store_password: ${FLEET_PASSWORD}"
        )
    if (named[0] is None and "host=" not in parts.query) or not parts.path.strip("/"):
        raise ValueError("needs a host and a database; write postgresql://user@host:5432/name")
    return value


def bucket_address(value: str) -> str:
    """A bucket's URL, or a directory as written. Raises ValueError for another kind of address."""
    if "://" in value and not _BUCKET.match(value):
        kinds = "s3://, gs:// or az://"
        raise ValueError(
            f"'{value}' is no bucket; write {kinds} and its name, or a directory that every host sees"
        )
    return value.rstrip("/")
