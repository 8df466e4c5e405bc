"""chainrule doctor: what it says on a machine with a GPU, without one, and without Triton."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from typer.testing import CliRunner

from chainrule.cli import app
from chainrule.conformance import doctor
from chainrule.triton_kernels.runtime import launch


@pytest.fixture
def findings():
    return lambda: dict(doctor.lines(simulator=False))


@pytest.fixture
def gpu(monkeypatch):
    """A machine that says it has one; nothing is run on it."""
    def of(arch):
        major, minor = arch.removeprefix("sm_")[:-1], arch[-1]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (int(major), int(minor)))
        launch._arch_of.cache_clear()

    yield of
    launch._arch_of.cache_clear()


@pytest.fixture
def no_triton(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "triton" else real(name))


def test_without_a_gpu(findings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = findings()
    assert list(said) == ["chainrule", "machine", "packages", "GPU", "conform", "training"]
    assert said["GPU"] == "none that torch sees"
    assert said["training"] == ("CPU tensors run torch's functions of the same equations; explain(fn, …, "
                                "target='sm_90') names the kernels of a GPU")


@pytest.mark.parametrize(("arch", "half"), [("sm_90", "boxes"), ("sm_80", "affine_kernel"), ("sm_86", "affine_kernel")])
def test_with_a_gpu_it_names_the_kernels_of_a_layer(findings, gpu, arch, half):
    gpu(arch)
    said = findings()
    assert said["GPU"].startswith(f"a GPU ({arch}), CUDA ")
    assert said["training"] == "CUDA tensors run our kernels, CPU tensors torch's functions"
    float32, bfloat16 = said["layers"].split("; ")
    assert float32.startswith("float32 by affine_kernel (")
    assert float32.endswith(", ieee)")
    assert bfloat16.startswith("bfloat16 by ")
    assert half in bfloat16


def test_without_triton(findings, no_triton, gpu):
    without = "Triton is not installed: torch's composites of the same equations stand in everywhere"
    assert findings()["training"] == without
    gpu("sm_90")
    said = findings()
    assert said["training"] == without
    assert "layers" not in said


def test_strict_is_said(findings, monkeypatch):
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    assert findings()["strict"].startswith("CHAINRULE_STRICT=1: an op without a kernel raises")


def test_the_command():
    result = CliRunner().invoke(app, ["doctor", "--quick"])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.output.splitlines()][:3] == ["chainrule", "machine", "packages"]
