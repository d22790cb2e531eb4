"""Symbolic extents: polynomials with integer coefficients over named unknowns.

An extent is `int | Dim`; arithmetic that comes out constant gives an int. Unknown sizes of
arguments are at least `LEAST`: small extents are always concrete, because 0 and 1 change what
programs mean, and with some room below, so that `n - 1` is not 1 either. The index of a loop, and
what data says, are unknowns with bounds of their own, which may mention other unknowns.

Dims are terms and compare by identity. A user's program sees `Extent`s instead, which compare as
numbers: where the answer depends on the size, asking is a TraceError, and the program is traced
again for the size at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

from ..errors import TraceError
from .term import Term, remembered

Monomial = tuple["Term", ...]

# The smallest value of an unknown.
LEAST = 8


class Symbol(Term):
    """A named unknown from `least` to `most`; no bound above where that is None."""

    __slots__ = ("depth", "name", "least", "most")
    name: str
    least: Any
    most: Any

    def check(self) -> None:
        """`depth` is 0 for sizes of arguments; other unknowns are bounded by those of less depth."""
        bounds = [b for b in (self.least, self.most) if isinstance(b, Dim)]
        inner = [atom.depth for b in bounds for atom in symbols_of(b)]
        is_size = self.least == LEAST and self.most is None
        object.__setattr__(self, "depth", 0 if is_size else 1 + max(inner, default=0))

    def __repr__(self) -> str:
        return self.name


class Quotient(Term):
    """`numerator // denominator`, when it does not divide out."""

    __slots__ = ("numerator", "denominator")
    numerator: Any
    denominator: Any

    def __repr__(self) -> str:
        return f"(({self.numerator}) // ({self.denominator}))"


class Dim(Term):
    """A sum of `coefficient * product(atoms)`; build with `symbol` and arithmetic."""

    __slots__ = ("terms",)
    terms: tuple[tuple[int, Monomial], ...]

    def __add__(self, other: Any) -> Any:
        return _alike(_sum(self, other), self, other) if _is_extent(other) else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + other * -1 if _is_extent(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return self * -1 + other if _is_extent(other) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        return _alike(_product(self, other), self, other) if _is_extent(other) else NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return _alike(_quotient(self, other), self, other) if _is_extent(other) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return _alike(_quotient(other, self), self, other) if _is_extent(other) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return self - self // other * other if _is_extent(other) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return _sign(self - other, "<") < 0

    def __le__(self, other: Any) -> bool:
        return _sign(self - other - 1, "<=") < 0

    def __gt__(self, other: Any) -> bool:
        return _sign(other - self, ">") < 0

    def __ge__(self, other: Any) -> bool:
        return _sign(other - self - 1, ">=") < 0

    def __bool__(self) -> bool:
        return True

    def _concrete(self, what: str) -> Any:
        raise TraceError(f"{what} needs a number, but the extent {self} is symbolic here")

    def __int__(self) -> int:
        return self._concrete("int()")

    def __index__(self) -> int:
        return self._concrete("this use")

    def __float__(self) -> float:
        return self._concrete("float()")

    def __repr__(self) -> str:
        text = ""
        for coefficient, atoms in self.terms:
            size = abs(coefficient)
            factors = [str(size)] if size != 1 or not atoms else []
            term = "*".join([*factors, *map(str, atoms)])
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {term}" if text else term if sign == "+" else f"-{term}"
        return text


def _is_extent(value: Any) -> bool:
    """Whether it is a number or a Dim: no traced number, which only says that it is an int."""
    return issubclass(type(value), int | Dim)


# Compares an extent with a number where only the data of a program tells; set by trace/array.py.
COMPARED: list[Callable[[str, Dim, int | Dim], Any]] = []


class Extent(Dim):
    """A Dim as a user's program sees it: comparisons are about the number it stands for."""

    __slots__ = ()

    def __eq__(self, other: Any) -> bool:
        if not _is_extent(other):
            return NotImplemented
        difference = self - other
        if isinstance(difference, int):
            return difference == 0
        if _is_never_zero(difference):
            return False
        return self._compared("==", other)

    def __ne__(self, other: Any) -> Any:
        equal = self == other
        if type(equal) is bool or equal is NotImplemented:
            return equal if equal is NotImplemented else not equal
        return self._compared("!=", other)

    def __lt__(self, other: Any) -> Any:
        return self._ordered(other, "<", super().__lt__)

    def __le__(self, other: Any) -> Any:
        return self._ordered(other, "<=", super().__le__)

    def __gt__(self, other: Any) -> Any:
        return self._ordered(other, ">", super().__gt__)

    def __ge__(self, other: Any) -> Any:
        return self._ordered(other, ">=", super().__ge__)

    def _ordered(self, other: Any, relation: str, decide: Callable[[Any], bool]) -> Any:
        if not _is_extent(other):
            return NotImplemented
        try:
            return decide(other)
        except TraceError:
            return self._compared(relation, other)

    def _compared(self, relation: str, other: int | Dim) -> Any:
        """What only data tells is compared by the program; a size is not."""
        if any(unknown.depth for part in (self, other) for unknown in symbols_of(part)):
            return COMPARED[0](relation, plain(self), plain(other))
        raise TraceError(f"whether {self} {relation} {other} depends on the size of the arrays")

    __hash__ = Term.__hash__


def plain(extent: Any) -> Any:
    """The extent for use in programs: a Dim, if it is not a number."""
    return Dim(extent.terms) if type(extent) is Extent else extent


def as_number(extent: int | Dim) -> int | Dim:
    """The extent for users to compute with."""
    return Extent(extent.terms) if type(extent) is Dim else extent


def _alike(result: int | Dim, a: int | Dim, b: int | Dim) -> int | Dim:
    """Arithmetic with an Extent gives Extents."""
    return as_number(result) if type(a) is Extent or type(b) is Extent else result


def symbol(name: str, least: int | Dim = LEAST, most: int | Dim | None = None) -> Dim:
    """The unknown called `name`: the size of an argument, or one with bounds of its own."""
    return Dim(((1, (Symbol(name, plain(least), plain(most)),)),))


def _terms(value: int | Dim) -> tuple[tuple[int, Monomial], ...]:
    return value.terms if isinstance(value, Dim) else ((int(value), ()),)


def _normal(coefficients: dict[Monomial, int]) -> int | Dim:
    kept = [(c, atoms) for atoms, c in coefficients.items() if c]
    if not kept:
        return 0
    if len(kept) == 1:
        return Dim(tuple(kept)) if kept[0][1] else kept[0][0]
    return Dim(tuple(sorted(kept, key=lambda term: (-len(term[1]), str(term[1])))))


@lru_cache(2048)
def _sum(a: Dim, b: int | Dim) -> int | Dim:
    if isinstance(b, int) and not b:
        return a
    total: dict[Monomial, int] = {}
    for coefficient, atoms in (*_terms(a), *_terms(b)):
        total[atoms] = total.get(atoms, 0) + coefficient
    return _normal(total)


@lru_cache(2048)
def _product(a: Dim, b: int | Dim) -> int | Dim:
    if isinstance(b, int):
        return Dim(tuple([(c * int(b), atoms) for c, atoms in a.terms])) if b else 0
    total: dict[Monomial, int] = {}
    for c, left in _terms(a):
        for d, right in _terms(b):
            atoms = tuple(sorted((*left, *right), key=str))
            total[atoms] = total.get(atoms, 0) + c * d
    return _normal(total)


def _quotient(a: int | Dim, b: int | Dim) -> int | Dim:
    """`a // b`; divides out when every term of `a` is a multiple of the one term of `b`."""
    a, b = plain(a), plain(b)
    if a == b:
        return 1
    divisor = _terms(b)
    if len(divisor) == 1:
        coefficient, atoms = divisor[0]
        total: dict[Monomial, int] = {}
        for c, product in _terms(a):
            rest = list(product)
            try:
                for atom in atoms:
                    rest.remove(atom)
            except ValueError:
                break
            if c % coefficient:
                break
            total[tuple(rest)] = c // coefficient
        else:
            return _normal(total)
    return Dim(((1, (Quotient(a, b),)),))


def _sign(difference: int | Dim, relation: str) -> int:
    """-1 when `difference` is negative for every value of its unknowns, 1 when never; else an error."""
    if is_never_negative(difference):
        return 1
    if is_never_negative(difference * -1 - 1):
        return -1
    raise TraceError(f"whether {difference} {relation} 0 depends on the size of the arrays")


def is_never_negative(extent: int | Dim) -> bool:
    """Whether an extent is certainly at least 0."""
    least = lowest(extent)
    return least is not None and least >= 0


def _is_never_zero(difference: Dim) -> bool:
    return _sign_of(difference) != 0


def _sign_of(difference: int | Dim) -> int:
    """1 when it is certainly positive, -1 when it is certainly negative, 0 when neither is sure."""
    low, high = lowest(difference), lowest(difference * -1)
    return 1 if low is not None and low > 0 else -1 if high is not None and high > 0 else 0


def lowest(extent: int | Dim | None) -> int | None:
    """A number that an extent is never below; None where none is known."""
    return _lowest(extent) if isinstance(extent, Dim) else extent


@remembered
def _lowest(extent: Dim) -> int | None:
    bounded = [s for s in symbols_of(extent) if s.depth]
    if not bounded:
        return _least_of_sizes(extent)
    return lowest(_without(extent, max(bounded, key=lambda s: s.depth)))


def highest(extent: int | Dim) -> int | Dim | None:
    """An expression in sizes of arguments alone that an extent is never above; None if there is none."""
    while isinstance(extent, Dim):
        bounded = [s for s in symbols_of(extent) if s.depth]
        if not bounded:
            return extent
        below = _without(extent * -1, max(bounded, key=lambda s: s.depth))
        extent = None if below is None else below * -1
    return extent


def _without(extent: Dim, unknown: Symbol) -> int | Dim | None:
    """An extent never above this one, in which the bound of `unknown` stands for it, or None."""
    rest: int | Dim = 0
    factor: int | Dim = 0
    for coefficient, atoms in extent.terms:
        if unknown not in atoms:
            part: int | Dim | None = _normal({atoms: coefficient})
            if any(unknown in symbols_of(Dim(((1, (atom,)),))) for atom in atoms):
                part = _quotient_without(coefficient, atoms, unknown)
            if part is None:
                return None
            rest = rest + part
            continue
        others = list(atoms)
        others.remove(unknown)
        if unknown in others:
            return None
        factor = factor + _normal({tuple(others): coefficient})
    if is_never_negative(factor):
        return rest + factor * unknown.least
    if unknown.most is not None and is_never_negative(factor * -1):
        return rest + factor * unknown.most
    return None


def _quotient_without(coefficient: int, atoms: Monomial, unknown: Symbol) -> int | Dim | None:
    """The same of a multiple of a quotient, which grows with its numerator."""
    denominator = atoms[0].denominator
    if len(atoms) > 1 or type(denominator) is not int or denominator < 1:
        return None
    sign = 1 if coefficient > 0 else -1
    bound = _without(atoms[0].numerator * sign, unknown)
    return None if bound is None else bound * sign // denominator * coefficient


def _least_of_sizes(extent: Dim) -> int | None:
    """The value at the least sizes, if it only grows from there; or the same of what it is never below."""
    total = 0
    for coefficient, atoms in extent.terms:
        least = [_least_of_atom(atom) for atom in atoms]
        if None in least or (atoms and coefficient < 0):
            return _least_of_fractions(extent)
        total += coefficient * prod(least)
    return total


def _least_of_fractions(extent: Dim) -> int | None:
    """The same with a fraction for one of the quotients, which differs from it by less than 1."""
    for coefficient, atoms in extent.terms:
        match atoms:
            case (Quotient(numerator, int() as denominator),) if denominator > 0:
                rounded = denominator - 1 if coefficient > 0 else 0
                rest = extent - _normal({atoms: coefficient})
                least = lowest(rest * denominator + (numerator - rounded) * coefficient)
                return None if least is None else -(-least // denominator)
    return None


def _least_of_atom(atom: Term) -> int | None:
    """What an unknown size, or a quotient of what grows with sizes, is at least; None: it may be negative."""
    if isinstance(atom, Symbol):
        return LEAST
    least, denominator = lowest(atom.numerator), atom.denominator
    if least is None or least < 0 or type(denominator) is not int or denominator < 1:
        return None
    return least // denominator


def bind(extent: int | Dim, values: dict[str, int]) -> int:
    """The number `extent` is when each unknown has the value given."""
    if isinstance(extent, int):
        return extent

    def number(atom: Term) -> int:
        if isinstance(atom, Symbol):
            return values[atom.name]
        return bind(atom.numerator, values) // bind(atom.denominator, values)

    total = 0
    for coefficient, atoms in extent.terms:
        for atom in atoms:
            coefficient *= number(atom)
        total += coefficient
    return total


def bound(extent: int | Dim, values: dict[str, int]) -> int | Dim:
    """`extent` where some of its unknowns have the values given."""
    if isinstance(extent, int) or values.keys().isdisjoint(symbol_names(extent)):
        return extent
    total: int | Dim = 0
    for coefficient, atoms in extent.terms:
        product: int | Dim = coefficient
        for atom in atoms:
            product = product * _bound_atom(atom, values)
        total = total + product
    return total


def _bound_atom(atom: Term, values: dict[str, int]) -> int | Dim:
    if isinstance(atom, Symbol):
        return values.get(atom.name, Dim(((1, (atom,)),)))
    return bound(atom.numerator, values) // bound(atom.denominator, values)


def symbols_of(extent: int | Dim) -> list[Symbol]:
    """The unknowns in an extent, in order of appearance."""
    if isinstance(extent, int):
        return []
    found: list[Symbol] = []
    for _, atoms in extent.terms:
        for atom in atoms:
            if isinstance(atom, Symbol):
                found.append(atom)
            else:
                found += symbols_of(atom.numerator) + symbols_of(atom.denominator)
    return list(dict.fromkeys(found))


def symbol_names(extent: int | Dim) -> list[str]:
    """The names of the unknowns in an extent, in order of appearance."""
    return [found.name for found in symbols_of(extent)]
