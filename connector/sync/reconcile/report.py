"""What a reconciliation found: a line a day, stream and currency, and the records that differ, with the reason."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.sync.reconcile.comparison import CAPTURED, REFUNDED, Difference, Line, Reason
from schemas.times import second_text


@dataclass(slots=True)
class ConnectionReconciliation:
    """One connection over one span; ``error`` when Clover could not be read. lines: by day and stream."""

    run_id: str
    company_id: str
    company_name: str
    connection_id: str
    since: datetime
    until: datetime
    started: datetime
    finished: datetime | None = None
    lines: list[Line] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    requests: int = 0
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return ((self.finished or self.started) - self.started).total_seconds()

    @property
    def agrees(self) -> bool:
        """Whether every cent is stored and shown, or has a reason not to be."""
        return self.error is None and all(line.agrees for line in self.lines)

    @property
    def deleted(self) -> list[Difference]:
        """Stored records that Clover no longer has."""
        money = (CAPTURED, REFUNDED)
        return [one for one in self.differences if one.reason is Reason.DELETED and one.stream not in money]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values; money as exact decimal text."""
        return {
            "runId": self.run_id,
            "companyId": self.company_id,
            "companyName": self.company_name,
            "connectionId": self.connection_id,
            "since": second_text(self.since),
            "until": second_text(self.until),
            "agrees": self.agrees,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "lines": [_line_json(line) for line in self.lines],
            "differences": [_difference_json(difference) for difference in self.differences],
            "error": self.error and {"message": self.error, "hint": self.hint},
        }


@dataclass(slots=True)
class ReconcileReport:
    """All connections of one call."""

    connections: list[ConnectionReconciliation]

    @property
    def exit_code(self) -> int:
        """0 everything agrees or is explained; 3 a cent is unexplained; else the error's code (3 when mixed)."""
        codes = {
            connection.exit_code if connection.error else (0 if connection.agrees else 3)
            for connection in self.connections
        }
        return codes.pop() if len(codes) == 1 else 3

    def as_json(self) -> dict[str, Any]:
        """One JSON document for scripts."""
        return {"exitCode": self.exit_code, "connections": [found.as_json() for found in self.connections]}


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "day": line.day.isoformat(),
        "stream": line.stream,
        "currency": line.currency,
        "cloverCount": line.clover_count,
        "cloverAmount": str(line.clover_amount),
        "storedCount": line.stored_count,
        "storedAmount": str(line.stored_amount),
        "explained": str(line.explained),
        "unexplained": str(line.unexplained),
        "reasons": line.reasons,
    }


def _difference_json(record: Difference) -> dict[str, Any]:
    return {
        "stream": record.stream,
        "id": record.record_id,
        "day": record.day.isoformat(),
        "currency": record.currency,
        "amount": str(record.amount),
        "reason": record.reason,
        "detail": record.detail,
    }
