"""What the database of a fleet said a moment ago, for the time in which it says nothing.

An API host goes on serving what it has while PostgreSQL is away: who a key belongs to and which companies there are is
remembered from the last time it was asked, for five minutes. So a key that was revoked in the last minutes before an
outage may be good on a host until the database is back; nobody can revoke one meanwhile. Nothing is written meanwhile.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager

from connector.control.database import ControlDatabase, Row, Statements
from connector.errors import StoreBusy, StoreError
from connector.logs import get_logger

KEPT_SECONDS = 300.0
_TRY_AGAIN = 2.0  # seconds; one question in so many finds out whether it is back
_MOST_ROWS = 200_000  # of all answers together; an empty answer counts as one
log = get_logger(__name__)
_Question = tuple[str, tuple[object, ...]]


class RememberingControl:
    """A ``ControlDatabase`` that answers questions it was asked before while the one behind it is away."""

    def __init__(self, control: ControlDatabase) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._answers: OrderedDict[_Question, tuple[float, Sequence[Row]]] = OrderedDict()
        self._size = 0
        self._away: StoreError | None = None
        self._try_at = 0.0

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        question = (sql, tuple(parameters))
        if (known := self._is_away()) is not None:
            return self._remembered(question, known)
        try:
            found = self._control.rows(sql, parameters)
        except StoreBusy:
            raise
        except StoreError as error:
            self._note_away(error)
            return self._remembered(question, error)
        self._note_answer(question, found)
        return found

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        self._refuse_while_away()
        return self._control.write(sql, parameters)

    def write_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._refuse_while_away()
        self._control.write_many(sql, rows)

    def transaction(self) -> AbstractContextManager[Statements]:
        self._refuse_while_away()
        return self._control.transaction()

    def beside_others(self) -> AbstractContextManager[Statements]:
        self._refuse_while_away()
        return self._control.beside_others()

    def erase_deleted(self) -> None:
        self._control.erase_deleted()

    def close(self) -> None:
        self._control.close()

    def _is_away(self) -> StoreError | None:
        """Why nobody need ask now; None for who is to ask, which is one in two seconds while it is away."""
        with self._lock:
            if self._away is None:
                return None
            now = time.monotonic()
            if now < self._try_at:
                return self._away
            self._try_at = now + _TRY_AGAIN + 10  # until this one knows
            return None

    def _refuse_while_away(self) -> None:
        if (error := self._away) is not None and time.monotonic() < self._try_at:
            raise error

    def _note_away(self, error: StoreError) -> None:
        with self._lock:
            if self._away is None:
                log.error(
                    "control.away",
                    error=error.message,
                    hint=error.hint,
                    effect="what is remembered is served",
                )
            self._away, self._try_at = error, time.monotonic() + _TRY_AGAIN

    def _note_answer(self, question: _Question, found: Sequence[Row]) -> None:
        with self._lock:
            if self._away is not None:
                log.info("control.back")
                self._away = None
            _, before = self._answers.pop(question, (0.0, None))
            self._size += _weight(found) - (0 if before is None else _weight(before))
            self._answers[question] = (time.monotonic(), found)
            while self._size > _MOST_ROWS and self._answers:
                _, (_, oldest) = self._answers.popitem(last=False)
                self._size -= _weight(oldest)

    def _remembered(self, question: _Question, error: StoreError) -> Sequence[Row]:
        with self._lock:
            asked_at, found = self._answers.get(question, (float("-inf"), ()))
        if time.monotonic() - asked_at > KEPT_SECONDS:
            raise error
        return found


def _weight(found: Sequence[Row]) -> int:
    return max(1, len(found))
