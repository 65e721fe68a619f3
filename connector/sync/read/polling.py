"""When an unsettled order is looked at again: every run at first, daily later, at last only by deep scans.

A card authorisation lives about a month, so day 35 is where waiting for a capture ends.
"""

from datetime import datetime, timedelta

EVERY_RUN_FOR = timedelta(days=3)
DAILY_UNTIL = timedelta(days=35)
DAY = timedelta(days=1)


def next_poll(first_seen: datetime, polled_at: datetime, reason: str) -> datetime | None:
    """The earliest time of the next poll, or None when only deep scans watch the order from now on.

    An open cart is polled daily from the start: when it is paid, the new charge brings it in anyway.
    """
    age = polled_at - first_seen
    if age >= DAILY_UNTIL:
        return None
    if age < EVERY_RUN_FOR and reason != "open_cart":
        return polled_at
    return polled_at + DAY
