"""Every case of every op: |error| / bound ≤ 1, element by element; NaN is a failure."""

from __future__ import annotations

import pytest

from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.shrinking import smallest
from chainrule.conformance.judging.verdict import FAIL, PASS
from chainrule.conformance.known_failures import as_known


def test_case(case, chosen, record_property):
    verdict = as_known(judge(case, chosen.backend, chosen.mode, undefined=chosen.undefined), chosen.known)
    if verdict.state == FAIL:
        verdict.smallest = smallest(case, chosen.backend, chosen.mode, chosen.undefined)
    record_property("chainrule", verdict.record())
    if verdict.state == FAIL:
        pytest.fail(verdict.report(), pytrace=False)
    if verdict.state != PASS:
        pytest.skip(f"{verdict.state.replace('_', ' ')}: {verdict.reason}")
