"""Contraction: `einsum` of two operands, the one op behind dot, matmul, outer and tensordot."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import CONTRACTION, Op, define
from ..types import ArrayType, array_type
from .samples import samples


def split_spec(spec: str) -> tuple[str, str, str]:
    """`"bik,bkj->bij"` as its three parts."""
    operands, result = spec.split("->")
    left, right = operands.split(",")
    return left, right, result


def label_roles(spec: str) -> tuple[str, str, str, str]:
    """The labels that are batch, rows (left only), columns (right only) and contracted."""
    left, right, result = split_spec(spec)
    batch = "".join(c for c in result if c in left and c in right)
    rows = "".join(c for c in result if c in left and c not in right)
    columns = "".join(c for c in result if c in right and c not in left)
    contracted = "".join(c for c in left if c in right and c not in result)
    return batch, rows, columns, contracted


def _contract_type(a: ArrayType, b: ArrayType, *, spec: str, by: str = "") -> ArrayType:
    """`by` says which implementation is taken, "generated" or "library", where that is decided."""
    if by not in ("", "generated", "library"):
        raise ValueError(f"contractions are generated or by a library, not by {by!r}")
    left, right, result = split_spec(spec)
    extents: dict[str, Any] = {}
    for labels, type in ((left, a), (right, b)):
        if len(labels) != type.ndim or len(set(labels)) != len(labels):
            raise ValueError(f"{labels!r} does not label the axes of {type}")
        for label, extent in zip(labels, type.shape):
            if extents.setdefault(label, extent) != extent:
                raise ValueError(f"axis {label} is {extents[label]} and {extent}")
    if a.dtype is not b.dtype:
        raise ValueError("operand dtypes differ")
    if sorted("".join(label_roles(spec))) != sorted(extents) or len(set(result)) != len(result):
        raise ValueError(f"{spec!r} sums an axis of one operand alone; reduce it first")
    return array_type(tuple(extents[label] for label in result), a.dtype)


def _contract_reference(a: Any, b: Any, *, spec: str, by: str = "") -> Any:
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype == np.float16:
        return np.einsum(spec, a, b, dtype=np.float32, casting="unsafe").astype(np.float16)
    return np.einsum(spec, a, b).astype(a.dtype)


contract = define(
    Op(
        "contract",
        CONTRACTION,
        _contract_type,
        _contract_reference,
        samples=samples(
            ([(5, 7), (7, 3)], {"spec": "ik,kj->ij"}),
            ([(17, 33), (9, 33)], {"spec": "ik,jk->ij"}),
            ([(33, 16), (33, 8)], {"spec": "ki,kj->ji"}),
            ([(3, 4, 5), (3, 5, 2)], {"spec": "bik,bkj->bij"}),
            ([(2, 3, 4), (4, 3, 5)], {"spec": "ikl,lkj->ij"}),
            ([(7, 9), (9,)], {"spec": "ik,k->i"}),
            ([(100,), (100,)], {"spec": "k,k->"}),
            ([(3,), (5,)], {"spec": "i,j->ji"}),
            ([(4, 3), (4, 3)], {"spec": "bi,bi->bi"}),
            ([(3, 0), (0, 2)], {"spec": "ik,kj->ij"}),
            ([(0, 3), (3, 2)], {"spec": "ik,kj->ij"}),
            ([(1, 1), (1, 1)], {"spec": "ik,kj->ij"}),
            ([(), (3,)], {"spec": ",i->i"}),
        ),
    )
)
