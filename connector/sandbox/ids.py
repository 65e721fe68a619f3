"""Clover's ids: 13 capitals and digits without a prefix, drawn from a seed so that a shop can be made again."""

from random import Random
from zlib import crc32

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class IdSource:
    """Draws ids, charge references and authorisation codes. Not thread-safe; the world holds its lock."""

    def __init__(self, seed: int) -> None:
        self._bits = Random(f"ids-{seed}").getrandbits  # noqa: S311 - repeatable on purpose, not a secret

    def next(self) -> str:
        """A new 13-character id."""
        bits = self._bits(65)
        pairs = _PAIRS
        return (
            _ALPHABET[bits & 31]
            + pairs[bits >> 5 & 1023]
            + pairs[bits >> 15 & 1023]
            + pairs[bits >> 25 & 1023]
            + pairs[bits >> 35 & 1023]
            + pairs[bits >> 45 & 1023]
            + pairs[bits >> 55 & 1023]
        )


def die(identity: str, sides: int, throw: str = "") -> int:
    """0 .. sides - 1, the same for the same id for ever; different throws are independent.

    Decides which of Clover's contradictory forms a record has, so that reading it twice reads the same.
    """
    value = crc32(f"{throw}{identity}".encode())
    value = (value ^ value >> 15) * 2246822519 & 0xFFFFFFFF
    value = (value ^ value >> 13) * 3266489917 & 0xFFFFFFFF
    return (value ^ value >> 16) % sides
