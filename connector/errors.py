"""Everything the connector raises on purpose, arranged by what the caller can do about it.

ConnectorError               .kind for logs and metrics, .exit_code for the shell
├── ConfigError              a person fixes config.yaml or the call; never retried
├── CloverError              .method .path .status (never the token, never the body)
│   ├── Throttled            429; .retry_after seconds or None; retried
│   ├── CloverUnavailable    timeouts, resets, 5xx, HTML, truncated JSON; retried
│   ├── Deauthorized         401 that a refresh did not cure: the merchant must reconnect
│   ├── PermissionMissing    403 on one stream: .permission names what the app lacks
│   └── PagingStuck          a listing that never ends or never advances
├── StoreError               the store cannot be read or written: full disk, read-only, damaged
│   ├── StoreBusy            another process holds the lock; .pid
│   │   └── StoreMoved       another host of a fleet stored the company first; the run is done again
│   ├── StoreDamaged         a file of the store is not as it was written; what to do is in the hint
│   ├── StoreNotOurs         root in a store of another user; what it wrote the owner could not write any more
│   └── StoreTooNew          written by a newer version of the connector
├── Stopped               the operator asked the process to end; what was committed stays
└── PartlyDone               the run finished, but some companies failed or records are held back
"""


class ConnectorError(Exception):
    """Base of all errors a user may see. ``hint`` is the next thing to type or change."""

    kind = "bug"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(ConnectorError):
    """The configuration or the command line is wrong; a person has to change it."""

    kind = "config"
    exit_code = 2


class CloverError(ConnectorError):
    """Clover answered with an error. Carries the request, never its token or body."""

    kind = "clover"

    def __init__(
        self,
        message: str,
        *,
        method: str = "GET",
        path: str = "",
        status: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.method = method
        self.path = path
        self.status = status


class Throttled(CloverError):
    """429. ``retry_after`` in seconds when Clover sent one."""

    def __init__(self, message: str, *, retry_after: float | None = None, path: str = "") -> None:
        super().__init__(message, path=path, status=429)
        self.retry_after = retry_after


class CloverUnavailable(CloverError):
    """A timeout, reset, 5xx, or a body that is not the JSON it should be; worth trying again."""


class Deauthorized(CloverError):
    """401 that one refresh did not cure: the merchant must connect again."""

    kind = "authorisation"


class PermissionMissing(CloverError):
    """403 on one stream. ``permission`` is what the app must be granted; the merchant then reinstalls."""

    kind = "authorisation"

    def __init__(self, message: str, *, permission: str, path: str = "", hint: str | None = None) -> None:
        super().__init__(message, path=path, status=403, hint=hint)
        self.permission = permission


class PagingStuck(CloverError):
    """A listing repeats itself for ever; reading on would never end."""


class StoreError(ConnectorError):
    """The store cannot be read or written. Nothing already published is harmed."""

    kind = "store"


class StoreBusy(StoreError):
    """Another process holds the lock; ``pid`` when it is known."""

    exit_code = 4

    def __init__(self, message: str, *, pid: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class StoreMoved(StoreBusy):
    """Another host of a fleet was first; what was loaded here was dropped, and the run has to be done again."""


class StoreDamaged(StoreError):
    """A file of the store is not as it was written: a disk, a copy or another program has changed it."""


class StoreNotOurs(StoreError):
    """The store belongs to another user than the one who would write into it; the hint says how to be that user."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of the connector; this one must not touch it."""


class Stopped(ConnectorError):
    """The process was asked to end while a run was reading. The run is begun again by the next start."""

    kind = "stopped"


class PartlyDone(ConnectorError):
    """The run finished, but some companies failed or some records are held back."""

    kind = "partly_done"
    exit_code = 3
