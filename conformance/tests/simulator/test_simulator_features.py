"""What of Triton the simulator does as a GPU would: this decides which releases are accepted."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton")

from chainrule.conformance.simulator import simulate
from chainrule.conformance.simulator.feature_table import FEATURES, Unavailable


@pytest.mark.parametrize("name", FEATURES)
def test_feature(name):
    torch.manual_seed(0)
    with simulate():
        try:
            FEATURES[name]()
        except Unavailable as absent:
            pytest.skip(str(absent))
