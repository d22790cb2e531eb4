"""Random programs with loops, branches, jumps, carried trees and in-place writes, as Python text.

They end: loops run over ranges, and `while` counts down as well.
"""

from hypothesis import strategies as st

RETURN = "return s, t, u, n, p, d['k'], a, b, c"
SCALARS, ARRAYS = ["s", "t", "u"], ["a", "b", "c"]


def _numbers(depth):
    """Expressions that are numbers."""
    leaves = st.sampled_from(
        [
            *SCALARS,
            "1",
            "2.5",
            "-1.5",
            "n",
            "p[0]",
            "a.sum()",
            "b.max()",
            "d['k']",
            "a[n % 5]",
            "b[-1]",
        ]
    )
    if depth == 0:
        return leaves
    inner = _numbers(depth - 1)
    pair = st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner)
    return st.one_of(
        leaves,
        pair.map(lambda p: f"({p[0]} {p[1]} {p[2]}) * 0.5"),
        st.tuples(_tests(0), inner, inner).map(lambda p: f"({p[1]} if {p[0]} else {p[2]})"),
        st.tuples(inner, inner).map(lambda p: f"min(max({p[0]} * 1.0, -9.0), 9.0)"),
    )


def _tests(depth):
    numbers = _numbers(0)
    compared = st.tuples(numbers, st.sampled_from(["<", ">", "<=", "!="]), numbers)
    plain = compared.map(" ".join)
    if depth == 0:
        return plain
    inner = _tests(depth - 1)
    return st.one_of(
        plain,
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        inner.map(lambda p: f"not ({p})"),
        st.tuples(numbers, numbers, numbers).map(lambda p: f"{p[0]} < {p[1]} <= {p[2]}"),
    )


def _simple():
    numbers = _numbers(1)
    scalar, array = st.sampled_from(SCALARS), st.sampled_from(ARRAYS)
    return st.one_of(
        st.tuples(scalar, numbers).map(lambda p: f"{p[0]} = {p[1]}"),
        st.tuples(scalar, numbers).map(lambda p: f"{p[0]} += {p[1]}"),
        st.tuples(array, numbers).map(lambda p: f"{p[0]}[n % 5] = {p[1]}"),
        st.tuples(array, array).map(lambda p: f"{p[0]}[1:] += {p[1]}[:-1] * 0.5"),
        st.tuples(array, array, numbers).map(lambda p: f"{p[0]} = {p[1]} * 0.5 + {p[2]}"),
        st.tuples(array, numbers).map(lambda p: f"{p[0]}[{p[0]} > 1] *= 0.5"),
        numbers.map(lambda x: f"p = ({x} * 0.5, p[0])"),
        numbers.map(lambda x: f"d['k'] = {x} * 1.0"),
        st.just("n += 1"),
        st.just("a, b = b, a"),
    )


def _block(depth, in_loop):
    return st.lists(_statement(depth, in_loop), min_size=1, max_size=3).map(
        lambda lines: [line for found in lines for line in found]
    )


def _indented(lines):
    return ["    " + line for line in lines]


def _statement(depth, in_loop):
    """Lists of lines."""
    simple = _simple().map(lambda line: [line])
    if depth == 0:
        return simple
    jumps = [RETURN] + ["break", "continue"] * in_loop
    inner = _block(depth - 1, in_loop)
    jump = st.tuples(_tests(1), st.sampled_from(jumps)).map(
        lambda p: [f"if {p[0]}:", "    " + p[1]]
    )
    branch = st.tuples(_tests(1), inner, inner).map(
        lambda p: [f"if {p[0]}:", *_indented(p[1]), "else:", *_indented(p[2])]
    )
    lone = st.tuples(_tests(1), inner).map(lambda p: [f"if {p[0]}:", *_indented(p[1])])
    spans = ["range(3)", "range(6)", "range(5, -1, -2)", "range(n % 3)", "range(1, 5)"]
    loop = st.tuples(st.sampled_from(spans), _block(depth - 1, True), st.booleans(), inner).map(
        lambda p: [
            f"for i in {p[0]}:", *_indented(p[1]),
            *(["else:", *_indented(p[3])] if p[2] else []),
        ]
    )  # fmt: skip
    count = st.tuples(_tests(1), _block(depth - 1, True)).map(
        lambda p: [
            f"m{depth} = 0",
            f"while m{depth} < 5 and {p[0]}:",
            f"    m{depth} += 1",
            *_indented(p[1]),
        ]
    )
    return st.one_of(simple, simple, jump, branch, lone, loop, count)


def programs(depth=3):
    """The text of a function of three arrays and a number."""
    start = ["s, t, u, n = x, 1, 0.5, 0", "p, d = (x, 2.0), {'k': 1.5}"]
    return _block(depth, False).map(
        lambda lines: (
            "\n".join(["def program(a, b, c, x):", *_indented([*start, *lines, RETURN])]) + "\n"
        )
    )
