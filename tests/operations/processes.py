"""Waiting for what other processes do."""

import time

SECONDS = 60


def until(condition, what):
    """Wait until something another process does has happened."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def ended(process):
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err
