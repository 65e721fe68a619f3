"""Stopping a process ends every wait for Clover at once, and no request starts afterwards."""

import threading

import pytest

from connector.clover.http.pacing import AppPacer, Pacer
from connector.errors import Stopped


def test_who_waits_for_a_turn_or_between_attempts_is_let_go():
    app = AppPacer(1000, 1)
    first, second = Pacer(1000, 1, app=app), Pacer(1000, 1, app=app)
    ended, waiting = [], threading.Barrier(3)

    def for_a_turn():
        waiting.wait()
        with pytest.raises(Stopped), second.slot():
            pass
        ended.append("turn")

    def between_attempts():
        waiting.wait()
        with pytest.raises(Stopped):
            app.sleep(3600)
        ended.append("sleep")

    threads = [threading.Thread(target=work) for work in (for_a_turn, between_attempts)]
    for thread in threads:
        thread.start()
    with first.slot():
        waiting.wait()
        app.stop()
        for thread in threads:
            thread.join(timeout=10)
    assert sorted(ended) == ["sleep", "turn"]
    with pytest.raises(Stopped), first.slot():
        pass


def test_a_wait_between_attempts_lasts_as_long_as_asked_by_the_pacers_own_clock():
    now = [0.0]

    def wait(_condition, seconds):
        now[0] += seconds

    AppPacer(clock=lambda: now[0], wait=wait).sleep(30)
    assert now == [30.0]
