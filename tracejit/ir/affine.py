"""Index expressions as sums `constant + coefficient * atom`: what addresses and proofs are made of."""

from __future__ import annotations

from .tensor import Apply, Expression, Index, Literal


def linear(expression: Expression) -> tuple[dict[Expression, int], int]:
    """Coefficients by atom, and the constant; an atom is anything but a sum or a scaling.

    `x // n * n + x % n` is `x`: axes that were merged into one index are one again.
    """
    total: dict[Expression, int] = {}
    constant = 0
    stack: list[tuple[Expression, int]] = [(expression, 1)]
    while stack:
        part, scale = stack.pop()
        match part:
            case Literal(value):
                constant += scale * value
            case Apply("add", (a, b), _):
                stack += [(b, scale), (a, scale)]
            case Apply("subtract", (a, b), _):
                stack += [(b, -scale), (a, scale)]
            case Apply("negative", (a,), _):
                stack.append((a, -scale))
            case Apply("multiply", (a, Literal(factor)) | (Literal(factor), a), _):
                stack.append((a, scale * factor))
            case _:
                total[part] = total.get(part, 0) + scale
                whole = _rejoined(part, total)
                if whole is not None:
                    stack.append(whole)
    return {atom: c for atom, c in total.items() if c}, constant


def _rejoined(part: Expression, total: dict[Expression, int]) -> tuple[Expression, int] | None:
    """Take a quotient and its remainder, one of them `part`, out of `total`; what they add up to."""
    match part:
        case Apply("remainder" | "floor_divide" as op, (x, Literal(n)), dtype):
            other = Apply(
                "floor_divide" if op == "remainder" else "remainder", part.operands, dtype
            )
            small, large = (part, other) if op == "remainder" else (other, part)
            scale = total.get(small, 0)
            if scale and n and total.get(large, 0) == scale * n:
                del total[small], total[large]
                return x, scale
    return None


def coefficient(expression: Expression, index: Index) -> int | None:
    """How far `expression` moves when `index` advances by one; None when that is not constant."""
    if expression is index:
        return 1
    if index not in expression.free:
        return 0
    atoms, _ = linear(expression)
    found = 0
    for atom, scale in atoms.items():
        if atom is index:
            found = scale
        elif index in atom.free:
            return None
    return found
