"""What a data route needs before it reads: the connection, the publication, and the snapshot to read as of.

Never-synced data is a 409 until the first success and never after (docs.codat.io, "Errors").
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from connector.api.answer.errors import ApiError, never_synced
from connector.api.answer.quality import Quality, quality_of
from connector.api.query import values as query_values
from connector.api.reads.records import Scope, wire_time
from connector.api.reads.runs import epoch_of, loaded_at, read_up_to, snapshot_at, snapshot_up_to, states_of
from connector.api.state import Call
from connector.ledger.connection_state import UNKNOWN, ConnectionState
from connector.ledger.published import NothingPublishedError, Publication


@dataclass(frozen=True, slots=True)
class Reading:
    """An open publication and whose records to read from it. ``snapshot``: as of which they are read."""

    publication: Publication
    state: ConnectionState
    company_id: str
    connection_id: str
    snapshot: int

    @property
    def newest(self) -> bool:
        return self.snapshot == (self.state.newest_snapshot or 0)

    @property
    def scope(self) -> Scope:
        return Scope(self.company_id, self.connection_id, None if self.newest else self.snapshot)

    @property
    def read_until(self) -> datetime | None:
        """Until when Clover was read (UTC without zone): what happened later is not known here."""
        if self.newest and self.state.last_success_began is not None:
            return self.state.last_success_began.replace(tzinfo=None)
        return read_up_to(self.publication, self.connection_id, self.snapshot)

    @property
    def quality(self) -> Quality:
        """How far what is read here can be relied on."""
        return quality_of(
            self.publication,
            self.connection_id,
            self.state,
            snapshot=self.snapshot,
            newest=self.newest,
            read_until=lambda: self.read_until,
        )

    @property
    def headers(self) -> dict[str, str]:
        """What every answer made of this says of itself."""
        until = wire_time(loaded_at(self.publication, self.snapshot))
        return {
            "x-snapshot-id": str(self.snapshot),
            "x-snapshot-epoch": self.epoch,
            **({"x-modified-until": until} if until else {}),
            **self.quality.headers(),
        }

    @property
    def epoch(self) -> str:
        """Which numbering the snapshots are of."""
        return epoch_of(self.publication)

    def refuse_other_epoch(self, epoch: str | None) -> None:
        """Raises ApiError 410 where a client's snapshot numbers are of another numbering."""
        if epoch is not None and epoch != self.epoch:
            raise ApiError(
                410,
                f"epoch: snapshots of epoch {epoch} are gone; the store was restored and numbers them anew, in epoch"
                f" {self.epoch}. Read everything again and keep its snapshot and epoch.",
            )

    def snapshot_of(self, as_of: str) -> int:
        """The snapshot that a number or a time names. Raises ApiError 400, or 409 before the first."""
        return _snapshot(self.publication, self.state, self.connection_id, as_of)

    def pinned(self, snapshot: int) -> int:
        """The snapshot that the link of a later page names. Raises ApiError 400 where there never was one."""
        if snapshot > self.snapshot:
            raise ApiError(
                400,
                f"pinnedTo: snapshot {snapshot} is not one of this connection; its newest is {self.snapshot}."
                " Begin again with page 1.",
            )
        return self.snapshot_of(str(snapshot))

    def at(self, snapshot: int) -> "Reading":
        """The same, as of another snapshot."""
        return Reading(self.publication, self.state, self.company_id, self.connection_id, snapshot)


@contextmanager
def reading(
    call: Call, company_id: str, connection_id: str, as_of: str | None = None, *, watched: bool = True
) -> Iterator[Reading]:
    """Raises ApiError 404, 409 before the first sync, 400 for an ``asOf`` that cannot be.

    watched: False for a stream, which is watched chunk by chunk.
    """
    call.connection(company_id, connection_id)
    try:
        with call.publication(watched=watched) as publication:
            state = states_of(publication).get(connection_id, UNKNOWN)
            if not state.synced:
                raise never_synced()
            snapshot = _snapshot(publication, state, connection_id, as_of)
            call.snapshot_id = snapshot
            here = Reading(publication, state, company_id, connection_id, snapshot)
            call.headers = here.headers
            yield here
    except NothingPublishedError as exc:
        raise never_synced() from exc


def _snapshot(publication: Publication, state: ConnectionState, connection_id: str, as_of: str | None) -> int:
    newest = state.newest_snapshot or 0
    if as_of is None:
        return newest
    words = as_of.strip()
    if words.isascii() and words.isdigit() and len(words) < 18:
        asked = int(words)
        if asked > newest:
            raise ApiError(
                400, f"asOf: snapshot {asked} is not one of this connection; its newest is {newest}."
            )
        found = snapshot_up_to(publication, connection_id, asked)
    else:
        try:
            moment = query_values.instant(words)
        except ValueError as exc:
            raise ApiError(400, f"asOf: neither a snapshot id nor a time: {exc}.") from exc
        found = snapshot_at(publication, connection_id, moment)
    if found is None:
        raise never_synced()  # at that moment nothing had been loaded yet
    return found
