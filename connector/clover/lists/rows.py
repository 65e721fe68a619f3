"""The two things paging must know of a row: its id, and whether it is of the window asked for."""

from connector.clover.lists.window import Window

# Clover rounds ``created`` to whole seconds when it is read back, so a row may look up to a second misplaced.
_ROUNDING_MS = 1_000


def id_of(row: object) -> str | None:
    """The row's id; None for a row without one, which nothing can refer to."""
    value = row.get("id") if isinstance(row, dict) else None
    return value if isinstance(value, str) and value.strip() else None


def created_ms(row: dict[str, object]) -> int | None:
    """``created`` in milliseconds, also from seconds or digits in a string; None if no time after 2001."""
    value = row.get("created")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if 0 < value < 10**11:
        value *= 1_000
    return value if 10**12 <= value < 10**14 else None


def is_inside(row: dict[str, object], window: Window | None) -> bool | None:
    """None when the row does not say; its window then rests on the server's filter."""
    created = created_ms(row)
    if created is None or window is None:
        return None
    return window.since_ms - _ROUNDING_MS <= created < window.until_ms + _ROUNDING_MS
