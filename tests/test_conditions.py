"""What must hold for a condition that is a choice between conditions."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from tracejit.ir.tensor import Apply, Expression, Literal, Variable
from tracejit.ir.types import bool_
from tracejit.lower.tensor.conditions import conjuncts

P, Q, R = [Variable(name, bool_) for name in "pqr"]


def apply(op: str, *operands: Expression) -> Expression:
    return Apply(op, operands, bool_)


def value(e: Expression, known: dict[Expression, bool]) -> bool:
    match e:
        case Literal(number):
            return number
        case Variable():
            return known[e]
        case Apply(op, operands):
            found = [value(operand, known) for operand in operands]
            match op:
                case "where":
                    return found[1] if found[0] else found[2]
                case "logical_not":
                    return not found[0]
                case "logical_and":
                    return all(found)
    return any(found)


NOT_P = apply("logical_not", P)
CASES = [
    (apply("where", P, Q, P), 2),
    (apply("where", NOT_P, P, Q), 2),
    (apply("where", P, Q, Literal(False, bool_)), 2),
    (apply("logical_and", P, apply("where", Q, R, Q)), 3),
    (apply("where", P, apply("where", Q, R, Q), P), 3),
    (apply("logical_not", apply("where", P, P, Q)), 2),
    (
        apply(
            "logical_not", apply("logical_or", P, apply("where", NOT_P, Q, Literal(True, bool_)))
        ),
        2,
    ),
    (apply("where", P, P, Q), 1),
    (apply("logical_or", P, Q), 1),
    (apply("where", P, Q, R), 1),
]


@pytest.mark.parametrize("condition, count", CASES, ids=range(len(CASES)))
def test_forms(condition: Expression, count: int):
    assert len(set(conjuncts(condition))) == count


@pytest.mark.parametrize("seed", range(100))
def test_all_of_them_are_the_condition(seed: int):
    random = Random(seed)
    made = [P, Q, R, Literal(True, bool_), Literal(False, bool_)]
    for _ in range(6):
        op = random.choice(["where", "where", "logical_not", "logical_and", "logical_or"])
        count = {"where": 3, "logical_not": 1}.get(op, 2)
        made.append(apply(op, *[random.choice(made) for _ in range(count)]))
    for holds, values in product((True, False), product((True, False), repeat=3)):
        known = dict(zip((P, Q, R), values))
        found = all(value(c, known) for c in conjuncts(made[-1], holds))
        assert found == (value(made[-1], known) is holds)
