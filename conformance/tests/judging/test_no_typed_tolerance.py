"""No typed tolerance: nothing in conformance/ compares floats with a tolerance or a threshold somebody typed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from chainrule import conformance

ROOM = Path(conformance.__file__).parent
FORBIDDEN = {"allclose", "isclose", "assert_close", "assert_allclose", "assert_almost_equal", "approx"}
KEYWORDS = {"rtol", "atol", "rel_tol", "abs_tol"}


def offences(text):
    """(line, what) of every typed tolerance in a Python source."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in FORBIDDEN:
                yield node.lineno, name
        elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            yield node.value.lineno, node.arg
        elif isinstance(node, ast.Compare) and any(isinstance(op, ast.Lt | ast.LtE) for op in node.ops):
            for side in (node.left, *node.comparators):
                if isinstance(side, ast.Constant) and isinstance(side.value, float) and 0 < side.value < 0.01:
                    yield node.lineno, f"threshold {side.value}"


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOM)))
def test_file(path):
    if path == Path(__file__).resolve() or path.name == Path(__file__).name:
        return
    assert not list(offences(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("text", ["np.allclose(a, b)", "f(x, rtol=0)", "abs(a - b) < 1e-6", "x == pytest.approx(y)"])
def test_the_lint_can_fail(text):
    assert list(offences(text))
