"""Our own kernels with one line broken: the suite catches every one, exact data alone every structural one."""

from __future__ import annotations

import pytest

from chainrule.conformance.mutate.kernels import EDITS, Edit, edited, hunt


def test_there_are_enough():
    assert len(EDITS) >= 60
    assert len({str(edit) for edit in EDITS}) == len(EDITS)


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_caught(edit):
    tiers = ("T0",) if edit.rational else ("T0", "T1", "T3")
    assert hunt(edit, tiers) is not None, f"{edit} passes {', '.join(tiers)}"


def test_a_lost_anchor_is_an_error():
    with pytest.raises(ValueError, match=r"stands 0 times in kernels\.py, not once"):
        edited(Edit("layers.kernels", "net.layer.affine", "gone", "no such line", ""))
