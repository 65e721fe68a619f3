"""Sharing a whole number of minor units out, to the last one."""

from collections.abc import Sequence


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` in proportion to the weights, as whole numbers that sum to it exactly.

    Largest remainder: every share is rounded towards zero, then the units left over go to the largest
    remainders, on a tie to the earlier one. Negative weights count as none; without any weight all of it goes to
    the first. ``total`` may be negative. Raises ValueError when there is nobody to share with.
    """
    if not weights:
        raise ValueError("nothing to share with")
    if len(weights) == 1:
        return [total]
    parts = [weight if weight > 0 else 0 for weight in weights]
    whole = sum(parts)
    if whole == 0:
        return [total] + [0] * (len(parts) - 1)
    sign = -1 if total < 0 else 1
    amount = abs(total)
    given = [amount * part // whole for part in parts]
    left = amount - sum(given)
    if left:
        # Python's sort is stable, so ties stay with the earlier one.
        order = sorted(range(len(parts)), key=lambda i: -(amount * parts[i] % whole))
        for index in order[:left]:
            given[index] += 1
    return given if sign > 0 else [-share for share in given]
