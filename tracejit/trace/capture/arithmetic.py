"""Python's functions of whole numbers as loops, and what Python asks of numbers, captured like a user's.

limit: numbers have 64 bits. Where more are needed, or Python refuses a number, NumPy runs the function.
"""

from __future__ import annotations

import math
from typing import Any

# The largest number whose square has 64 bits.
ROOT = 3_037_000_499


def check_some(is_none: Any) -> None:
    """That there is a number where one is needed."""
    if is_none:
        raise TypeError("None where a number is needed")


def isqrt(number: Any) -> Any:
    """`math.isqrt`."""
    if number < 0:
        raise ValueError("isqrt() argument must be nonnegative")
    root = int(math.sqrt(number))
    while root * root > number or root > ROOT:
        root -= 1
    while root < ROOT and (root + 1) * (root + 1) <= number:
        root += 1
    return root


def factorial(number: Any) -> Any:
    """`math.factorial`."""
    if number < 0:
        raise ValueError("factorial() not defined for negative values")
    if number > 20:
        raise OverflowError("more than 64 bits")
    found = 1
    for factor in range(2, number + 1):
        found *= factor
    return found


def comb(n: Any, k: Any) -> Any:
    """`math.comb`."""
    if n < 0 or k < 0:
        raise ValueError("n must be a non-negative integer")
    if n > 61:
        raise OverflowError("more than 64 bits on the way")
    found = 1
    if k > n:
        found = 0
    else:
        for step in range(min(k, n - k)):
            found = found * (n - step) // (step + 1)
    return found


def power(base: Any, exponent: Any, modulus: Any) -> Any:
    """`pow(base, exponent, modulus)`."""
    if modulus == 0:
        raise ValueError("pow() 3rd argument cannot be 0")
    if abs(modulus) > ROOT:
        raise OverflowError("more than 64 bits on the way")
    if exponent < 0:
        base, exponent = inverse(base, modulus), -exponent
    found, factor = 1 % modulus, base % modulus
    while exponent > 0:
        if exponent & 1:
            found = found * factor % modulus
        factor = factor * factor % modulus
        exponent >>= 1
    return found


def inverse(base: Any, modulus: Any) -> Any:
    """What `base` times is 1, modulo `modulus`: by Euclid's algorithm."""
    found, following = 0, 1
    last, rest = abs(modulus), base % abs(modulus)
    while rest:
        times = last // rest
        last, rest = rest, last - times * rest
        found, following = following, found - times * following
    if last != 1:
        raise ValueError("base is not invertible for the given modulus")
    return found
