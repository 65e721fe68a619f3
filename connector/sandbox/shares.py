"""Dividing money: whole minor units that sum exactly, and rounding half up."""

from collections.abc import Sequence


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of two non-negative whole numbers, a half rounded up."""
    return (2 * numerator + denominator) // (2 * denominator)


def shares(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` in proportion to ``weights``; the largest remainders get the odd units, ties the earlier."""
    total = sum(weights)
    if not amount or not total:
        return [0] * len(weights)
    parts = [amount * weight // total for weight in weights]
    rest = amount - sum(parts)
    if rest:
        by_remainder = sorted(range(len(weights)), key=lambda at: (-(amount * weights[at] % total), at))
        for at in by_remainder[:rest]:
            parts[at] += 1
    return parts
