"""Checks of integers that only data tells: extents that must be one, ints that a dtype must hold,
numbers that a program was made for."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tensor
from ..op import ELEMENTWISE, Element, Op, define
from ..types import ArrayType, DType, array_type, i64

__all__ = ["INTO", "PRODUCT", "TOGETHER", "expected", "fitting", "same_extent"]

# What the extents are of: two operands, what is assigned and what it is assigned to, or the factors
# of a sum of products.
TOGETHER, INTO, PRODUCT = 0, 1, 2


def _type(one: ArrayType, other: ArrayType, use: ArrayType) -> ArrayType:
    if not all(type.dtype is i64 for type in (one, other, use)):
        raise TypeError(f"{one}, {other} and {use} must be of dtype i64")
    if not one.shape == other.shape == use.shape:
        raise ValueError(f"operand shapes differ: {one}, {other}, {use}")
    return one


def _reference(one: Any, other: Any, use: Any) -> Any:
    if np.any(one != other):
        raise ValueError(f"extents {one} and {other} do not fit together")
    return one


def _element(index: tuple, *operands: Any, type: ArrayType) -> tensor.Expression:
    return tensor.Apply("same_extent", tuple([operand(index) for operand in operands]), i64)


def _samples(dtype: DType) -> list:
    types = [array_type((), i64)] * 3
    return [(types, {})]


# An extent that must equal another one; the program has no result where it does not. The lower of
# the two then, so that nothing is read outside of either.
same_extent = define(
    Op(
        "same_extent",
        ELEMENTWISE,
        _type,
        _reference,
        Element(_element),
        cost=3.0,
        samples=_samples,
    )
)


def _fitting_reference(x: Any, low: Any, high: Any) -> Any:
    if np.any((x < low) | (x > high)):
        raise OverflowError(f"Python integer {x} out of bounds for a dtype from {low} to {high}")
    return x


def _fitting_element(index: tuple, *operands: Any, type: ArrayType) -> tensor.Expression:
    return tensor.Apply("fitting", tuple([operand(index) for operand in operands]), i64)


# An int that must lie between two others; the program has no result where it does not.
fitting = define(
    Op(
        "fitting",
        ELEMENTWISE,
        _type,
        _fitting_reference,
        Element(_fitting_element),
        cost=3.0,
        samples=_samples,
    )
)


def _expected_reference(x: Any, low: Any, high: Any) -> Any:
    if np.any((x < low) | (x > high)):
        raise ValueError(f"{x} is not from {low} to {high}, as the program was made for")
    return x


def _expected_element(index: tuple, *operands: Any, type: ArrayType) -> tensor.Expression:
    return tensor.Apply("expected", tuple([operand(index) for operand in operands]), i64)


# An int that lay between two others when the program was made; where it does not, the program has no
# result, as it is for others: the function is to be run, and traced anew.
expected = define(
    Op(
        "expected",
        ELEMENTWISE,
        _type,
        _expected_reference,
        Element(_expected_element),
        cost=3.0,
        samples=_samples,
    )
)
