"""Log lines for people: whose, what happened, what next; no ids, no microseconds."""

import io
import logging
import re

import pytest

from connector.logs import bound, configure_logging, get_logger

WORDS = [
    (
        ("warning", "clover.retry", {"status": None, "attempt": 4, "attempts": 8, "wait_seconds": 8.13}),
        "Clover not reachable, again in 8 s (4 of 8)",
    ),
    (
        ("warning", "clover.retry", {"status": 429, "attempt": 1, "attempts": 8, "wait_seconds": 0.2}),
        "Clover asks for a pause, again in 1 s (1 of 8)",
    ),
    (
        ("warning", "clover.retry", {"status": 503, "attempt": 2, "attempts": 4, "wait_seconds": 2}),
        "Clover answered 503, again in 2 s (2 of 4)",
    ),
    (
        ("info", "connection.synced", {"status": "succeeded", "orders": 499, "inserted": 1488, "updated": 0,
         "held_back": 11, "requests": 611, "retries": 0, "seconds": 6.28}),
        "succeeded, 1,488 new, 0 changed, 11 held back, 6.3 s",
    ),
    (("info", "progress", {"stage": "map", "done": 300, "total": 488, "rows": 5}), "mapping orders, 300 of 488 orders"),
    (("info", "progress", {"stage": "extract", "done": 9, "total": 10, "rows": 1070}), "reading lists, 1,070 rows"),
    (("info", "store.upgrading", {"step": "bookings", "done": 120_000, "total": 1_100_000}),
     "bringing the store up to date, bookings: 120,000 of 1,100,000 versions"),
    (("info", "schedule.begins", {"connections": 3, "nothing": None}), "schedule begins (connections 3)"),
    (("info", "clover.retry", {"other": 1}), "clover retry (other 1)"),
    (("error", "store.not_published", {"error": "The disk is full.", "hint": "Free some."}),
     "store not published: The disk is full. Free some."),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), WORDS)
def test_a_line_is_said_in_words(line, words):
    level, event, fields = line
    out = io.StringIO()
    configure_logging("console", stream=out)
    with bound(run_id="20261125T133040-80640810", company="Juniper Goods",
               company_id="5ecdffdf-ba07-553d-9bfe-8f963b3734cf"):  # fmt: skip
        getattr(get_logger("test"), level)(event, **fields)
    prefix = "error: " if level == "error" else ""
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d " + re.escape(f"{prefix}Juniper Goods: {words}") + "\n", out.getvalue()
    )


def test_another_librarys_line_stays_as_it_is():
    out = io.StringIO()
    configure_logging("console", stream=out)
    logging.getLogger("other").warning("said %s", "this")
    assert out.getvalue().endswith(" said this\n")
