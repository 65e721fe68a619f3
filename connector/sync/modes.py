"""What a call of ``connector sync``, ``resync`` or ``rebuild`` asks for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["sync", "resync", "rebuild"]


@dataclass(frozen=True, slots=True)
class SyncMode:
    """kind: resync never moves a cursor, rebuild never calls Clover. full: read everything since start_date.

    since, until: aware UTC, a span asked for by a person. stream: only this list (charges, orders, refunds).
    dry_run: find out what would change and leave no trace.
    """

    kind: Kind = "sync"
    full: bool = False
    since: datetime | None = None
    until: datetime | None = None
    stream: str | None = None
    dry_run: bool = False

    @property
    def asks_for_a_span(self) -> bool:
        """Whether a person says what to read, instead of the cursor."""
        return self.full or self.kind == "resync" or self.since is not None or self.until is not None
