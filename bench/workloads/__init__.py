"""The work that is timed: each module yields the cases of one section of the report."""

from . import elementwise, rows

SECTIONS = {
    "elementwise": elementwise.cases,
    "rows": rows.cases,
}
