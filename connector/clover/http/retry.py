"""Which failures are tried again, how long to wait, when to give up. Only GETs are sent: a retry is safe.

Clover's advice: wait for ``retry-after`` where it is sent, since calling earlier lengthens the penalty;
otherwise start at one second and double (docs.clover.com, API usage and rate limits).
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from connector.errors import CloverError, CloverUnavailable, Throttled

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to go on.

    attempts: in all. total_seconds: after this no new attempt starts; waiting for the pacer not counted.
    first_wait, longest_wait: seconds, doubling from one to the other.
    """

    attempts: int = 8
    total_seconds: float = 300.0
    first_wait: float = 1.0
    longest_wait: float = 60.0


def wait_seconds(
    policy: RetryPolicy,
    attempt: int,
    error: BaseException | None,
    spread: Callable[[], float] = random.random,
) -> float:
    """Seconds before the next attempt. ``attempt`` counts from 1; ``spread`` gives 0..1 to part threads."""
    backoff = min(policy.longest_wait, policy.first_wait * 2.0 ** (attempt - 1))
    if isinstance(error, Throttled):
        if error.retry_after is not None:
            return error.retry_after + spread() * min(1.0, 0.1 * error.retry_after)
        return backoff * (1 + spread() / 4)
    return backoff * (0.5 + spread() / 2)


def with_retries(
    attempt: Callable[[], T],
    *,
    policy: RetryPolicy,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    queued: Callable[[], float] = lambda: 0.0,
    patience: Callable[[], float] = lambda: float("inf"),
    before_wait: Callable[[int, CloverError, float], None] = lambda _attempt, _error, _seconds: None,
    spread: Callable[[], float] = random.random,
) -> T:
    """Runs ``attempt`` until it succeeds or the policy is used up; then raises its last error, saying so.

    queued: seconds spent waiting for the pacer so far, which are not counted against the policy.
    patience: seconds that are left for the first answer ever.
    before_wait: told the attempt's number, its error and the seconds to wait.
    """
    started = clock()

    def spent() -> float:
        return clock() - started - queued()

    def is_used_up(state: RetryCallState) -> bool:
        return (
            state.attempt_number >= policy.attempts
            or spent() + state.upcoming_sleep > policy.total_seconds
            or state.upcoming_sleep >= patience()
        )

    def give_up(state: RetryCallState) -> T:
        error = _error_of(state)
        tries = "1 attempt" if state.attempt_number == 1 else f"{state.attempt_number} attempts"
        error.message = f"{error.message} Gave up after {tries} in {max(0.0, spent()):.0f} seconds."
        error.args = (error.message,)
        error.hint = error.hint or "Nothing is lost; the next sync starts from the same place."
        raise error

    retrying = Retrying(
        retry=retry_if_exception_type((Throttled, CloverUnavailable)),
        wait=lambda state: wait_seconds(policy, state.attempt_number, _error_of(state), spread),
        stop=is_used_up,
        sleep=sleep,
        before_sleep=lambda state: before_wait(state.attempt_number, _error_of(state), state.upcoming_sleep),
        retry_error_callback=give_up,
    )
    return retrying(attempt)


def _error_of(state: RetryCallState) -> CloverError:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, CloverError), "only Clover's errors are retried"
    return error
