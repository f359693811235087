"""How to leave most of a long past out without leaving out an hour of the day. Pure."""

__all__ = ["thinning"]

PRIMES = (1, 5, 7, 11, 13, 17, 19, 23)
"""No hour has a multiple of their steps: every so many-th interval visits all times of day."""


def thinning(count: int, most: int) -> int:
    """Every how many-th of `count` intervals to take, for about `most` of them; never fewer than every 23rd."""
    return next((prime for prime in PRIMES if count <= most * prime), PRIMES[-1])
