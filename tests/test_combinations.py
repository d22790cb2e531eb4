"""Cases of several parameters: every value, or every pair of values, in few of them."""

from itertools import combinations, product

import pytest
from combinations import each, pairs

PARAMETERS = [
    [3],
    [3, 2],
    [1, 4, 2],
    [4, 4, 4],
    [12, 8, 3, 4],
    [2] * 9,
]


@pytest.mark.parametrize("counts", PARAMETERS, ids=str)
def test_any_two_values_meet(counts):
    columns = [[f"{name}{i}" for i in range(count)] for name, count in zip("abcdefghi", counts)]
    cases = pairs(*columns)
    assert cases == pairs(*map(iter, columns))
    assert set(cases) <= set(product(*columns)) and len(cases) == len(set(cases))
    for (i, left), (j, right) in combinations(enumerate(columns), 2):
        assert {(case[i], case[j]) for case in cases} == set(product(left, right))
    largest = sorted(counts)[-2:] + [1]
    assert len(cases) <= max(1.5 * largest[0] * largest[1], 12)


@pytest.mark.parametrize("counts", PARAMETERS, ids=str)
def test_every_value_occurs(counts):
    cases = each(*map(range, counts))
    assert len(cases) == max(counts)
    assert [set(column) for column in zip(*cases)] == [set(range(count)) for count in counts]


def test_values_need_no_hash():
    assert sorted(map(str, pairs([[1], [2]], [set(), {3}]))) == [
        "([1], set())", "([1], {3})", "([2], set())", "([2], {3})",
    ]  # fmt: skip
