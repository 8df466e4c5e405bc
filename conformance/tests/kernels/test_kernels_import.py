"""Importing the kernels: no driver, no Triton, nothing compiled, and what is kept for backward is what was measured."""

import subprocess
import sys

import pytest
import torch

from chainrule.triton_kernels.activations import saved, table
from chainrule.triton_kernels.activations.table import ACTIVATIONS
from chainrule.triton_kernels.runtime import configs, launch

PROBE = """
import sys, torch
import chainrule.triton_kernels
from chainrule.triton_kernels import OPS, functional
assert "triton" not in sys.modules or "triton" in before, "Triton was imported"
assert not torch.cuda.is_initialized()
functional.linear_act(torch.ones(2, 3), torch.ones(4, 3))
assert not [m for m in sys.modules if m.startswith("chainrule.conformance")]
"""


def probe(prelude=""):
    code = f"{prelude}\nimport sys, torch\nbefore = set(sys.modules)\n{PROBE}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"})


def test_import_touches_nothing():
    done = probe()
    assert done.returncode == 0, done.stderr


def test_import_without_triton():
    done = probe("import sys; sys.modules['triton'] = None")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("act", [act for act, g in ACTIVATIONS.items() if g.errors])
def test_what_is_saved_is_decided_by_the_evidence(act, dtype):
    kept, stated = saved.form(act, dtype, ACTIVATIONS[act].default), ACTIVATIONS[act].errors[dtype]
    error = saved.error(act, dtype)
    assert f"{error:.1e}" == f"{stated:.1e}"
    root_u = (torch.finfo(dtype).eps / 2) ** 0.5
    assert kept == ("a" if error <= root_u else "z")
    line = next(line for line in table.__doc__.splitlines() if line.strip().startswith(act))
    assert f"{stated:.1e}   keep {kept}" in line
    assert f"{root_u:.1e}" in next(line for line in table.__doc__.splitlines() if "√u   " in line)


def test_what_is_saved_elsewhere():
    assert saved.form("elu", torch.float32, 1.0) == "z"
    assert saved.form("leaky", torch.float32, 0.01) == "a"
    assert saved.form("leaky", torch.float32, -0.5) == "z"
    assert saved.form("sigmoid", torch.float64, 0.0) == "a"
    assert saved.form("identity", torch.float16, 0.0) == "nothing"


def test_configurations():
    for arch in ("sm_90", "sm_80", "default"):
        for op in configs.OPERATIONS:
            if op in (*configs.BOXES, *configs.IMAGE_BOXES):
                assert bool(configs.rows(op, arch, torch.bfloat16)) == (arch == "sm_90")
                assert not configs.rows(op, arch, torch.float32)
                continue
            assert configs.rows(op, arch)
            for dtype in (torch.float32, torch.float16, torch.bfloat16):        # both gradients in one are float32's
                assert bool(configs.rows(op, arch, dtype)) == (op != "layer.gradients" or dtype is torch.float32)
    assert configs.rows("alg.average", "sm_120") == configs.rows("alg.average", "default")
    with pytest.raises(KeyError, match="conv9d has no configurations"):
        configs.rows("conv9d")


def test_the_row_follows_the_shape():
    choose = lambda *shape: configs.choose("net.layer.affine", shape, torch.bfloat16, "sm_90")
    assert (choose(8192, 8192).BM, choose(8192, 8192).BN) == (128, 128)
    assert choose(4096, 10).BN == 16
    assert choose(3, 4096).BM == 16
    assert choose(1, 1) in configs.rows("net.layer.affine", "sm_90", torch.bfloat16)
    row = configs.rows("net.layer.affine", "sm_90")[3]
    with configs.pinned("net.layer.affine", row):
        assert choose(8192, 8192) is row
    assert choose(8192, 8192) is not row


def test_architecture_is_the_simulators():
    token = launch.simulation.set(type("Simulator", (), {"target": "sm_80"})())
    try:
        assert launch.current_arch() == "sm_80"
    finally:
        launch.simulation.reset(token)
    assert torch.cuda.is_available() or launch.current_arch() == "default"


def test_an_op_runs_where_its_tensors_are_whatever_comes_first():
    """A keyword before the tensors must not send a kernel's tensor to the composite."""
    from chainrule.conformance.simulator import simulate
    from chainrule.triton_kernels import OPS

    with simulate() as sim:
        OPS["net.layer.affine"](act="relu", x=torch.ones(2, 3), w=torch.ones(4, 3), b=None)
    assert sim.launches == 1
