"""`expect` compares, and rewrites its own literal when asked to."""

from __future__ import annotations

import pytest
from golden import expect

SOURCE = '''
from golden import expect

def run():
    expect("one\\ntwo", "")
    expect(
        "three",
        """
        old
        older
        """,
    )
    expect("éß" + "\\\\n", "é"), expect("four", "four")
'''


def test_it_compares():
    expect("a\n  b\n", "\n    a\n      b\n    ")
    with pytest.raises(AssertionError, match=r"(?s)-b.*\+c"):
        expect("a\nc", "a\nb")


def test_it_rewrites(tmp_path, monkeypatch):
    path = tmp_path / "sample.py"
    path.write_text(SOURCE)
    monkeypatch.setenv("UPDATE", "1")
    scope: dict = {}
    exec(compile(SOURCE, str(path), "exec"), scope)
    scope["run"]()
    monkeypatch.delenv("UPDATE")
    updated = path.read_text()
    assert updated != SOURCE and "older" not in updated
    exec(compile(updated, str(path), "exec"), scope)
    scope["run"]()
