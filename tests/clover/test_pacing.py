"""The limits hold in every second, are used while work waits, and are shared fairly between merchants."""

import heapq
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.clover.http.pacing import AppPacer, Budget, Pacer, Ticket, Turns
from connector.errors import ConfigError, Throttled


def simulate(budgets, app, *, latency, seconds, late=lambda: 0.0):
    """Starts as (time, token number) while every token always has work waiting; no thread, no real time.

    late: how much later than planned a waiting thread wakes.
    """
    turns = Turns(app)
    tickets = {}
    for number, budget in enumerate(budgets):
        ticket = Ticket(budget)
        tickets[ticket] = number
        turns.join(ticket)
    now, ends, starts = 0.0, [], []
    while now < seconds:
        turn, ready = turns.next(now)
        next_end = ends[0][0] if ends else float("inf")
        if turn is not None and ready <= now:
            number = tickets.pop(turn)
            turns.start(turn, now)
            turns.leave(turn)
            starts.append((now, number))
            heapq.heappush(ends, (now + latency(number), len(starts), number))
            ticket = Ticket(turn.budget)
            tickets[ticket] = number
            turns.join(ticket)
        elif next_end <= ready:
            now, _, number = heapq.heappop(ends)
            turns.end(budgets[number])
        else:
            now = max(now, ready) + late()
    return starts


def most_in_a_second(times):
    first = most = 0
    for last, at in enumerate(times):
        while times[first] <= at - 1 + 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


@settings(max_examples=40, deadline=None)
@given(rate=st.integers(1, 40), late=st.floats(0, 0.004))
def test_the_rate_is_never_exceeded_and_nearly_reached(rate, late):
    starts = simulate(
        [Budget(rate, 100)], Budget(1000, 100), latency=lambda _: 0.2, seconds=30, late=lambda: late
    )
    times = [at for at, _ in starts]
    assert most_in_a_second(times) <= rate
    assert len(times) >= 0.9 * rate * 30


def test_a_rate_below_one_a_second_holds_too():
    starts = simulate([Budget(0.5, 5)], Budget(45, 9), latency=lambda _: 0.1, seconds=60)
    assert len(starts) == 30


def test_starts_are_spread_and_do_not_come_in_bursts():
    times = [at for at, _ in simulate([Budget(15, 5)], Budget(45, 9), latency=lambda _: 0.05, seconds=10)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) > 0.99 / 15


def test_a_late_start_does_not_delay_the_next():
    budget = Budget(10, 5)
    budget.start(0.0)
    planned = budget.ready_at()
    budget.start(planned + 0.04)
    assert budget.ready_at() == pytest.approx(planned + 0.1)


def test_all_merchants_together_keep_to_the_apps_limit_and_use_it():
    starts = simulate([Budget(15, 5) for _ in range(20)], Budget(45, 9), latency=lambda _: 0.15, seconds=20)
    times = [at for at, _ in starts]
    assert most_in_a_second(times) <= 45
    assert len(times) >= 0.9 * 45 * 20


def test_requests_in_flight_never_exceed_the_limits():
    """Slow answers: the places, not the rate, are what is short."""
    starts = simulate([Budget(15, 5) for _ in range(4)], Budget(45, 9), latency=lambda _: 3.0, seconds=30)
    for at, number in starts:
        open_now = [(t, n) for t, n in starts if t <= at < t + 3.0]
        assert len(open_now) <= 9
        assert sum(n == number for _, n in open_now) <= 5
    assert len(starts) >= 0.9 * 9 * 10


def test_merchants_that_wait_take_turns():
    starts = simulate([Budget(15, 5) for _ in range(9)], Budget(45, 9), latency=lambda _: 0.1, seconds=20)
    per_token = [sum(n == number for _, n in starts) for number in range(9)]
    assert max(per_token) - min(per_token) <= 2


def test_a_merchant_with_slow_answers_does_not_hold_up_the_others():
    slow = simulate(
        [Budget(15, 5) for _ in range(3)],
        Budget(45, 9),
        latency=lambda n: 20.0 if n == 0 else 0.1,
        seconds=20,
    )
    for number in (1, 2):
        assert sum(n == number for _, n in slow) >= 0.9 * 15 * 20


def test_limits_that_allow_nothing_are_refused():
    for rate, places in ((0, 5), (-1, 5), (5, 0)):
        with pytest.raises(ConfigError):
            Budget(rate, places)


def make_pacer(clock, rate=15.0, places=5):
    return Pacer(rate, places, app=AppPacer(45, 9, clock=clock, wait=clock.wait))


def test_a_pause_holds_for_everybody_on_the_token(clock):
    pacer = make_pacer(clock)
    pacer.pause(21)
    with pacer.slot() as waited:
        assert waited == pytest.approx(21)


def test_a_pause_of_one_merchant_leaves_the_others_alone(clock):
    app = AppPacer(45, 9, clock=clock, wait=clock.wait)
    paused, free = Pacer(15, 5, app=app), Pacer(15, 5, app=app)
    paused.pause(21)
    with free.slot() as waited:
        assert waited == 0
    paused.pause(30, whole_app=True)
    with free.slot() as waited:
        assert waited == pytest.approx(30)


def test_a_pause_too_long_to_sit_out_ends_the_wait_with_its_length(clock):
    pacer = make_pacer(clock)
    pacer.pause(3600)
    with pytest.raises(Throttled) as error, pacer.slot():
        pass
    assert error.value.retry_after == pytest.approx(3600)
    assert clock.slept == []


def test_a_request_that_fails_gives_its_place_back(clock):
    pacer = make_pacer(clock, places=1)
    for _ in range(3):
        with pytest.raises(RuntimeError), pacer.slot():
            raise RuntimeError
    with pacer.slot():
        assert pacer.budget.in_flight == 1
    assert pacer.budget.in_flight == pacer.app.budget.in_flight == 0


def test_threads_share_the_places_and_none_is_forgotten():
    """Real threads, more than places; every one gets through and the limit holds."""
    app = AppPacer(100_000, 3)
    pacers = [Pacer(100_000, 2, app=app) for _ in range(4)]
    lock = threading.Lock()
    now, most, done = [0], [0], [0]

    def work(pacer):
        for _ in range(25):
            with pacer.slot():
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                time.sleep(0)
                with lock:
                    now[0] -= 1
                    done[0] += 1

    threads = [threading.Thread(target=work, args=(pacer,)) for pacer in pacers for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert done == [500]
    assert most[0] <= 3
