#!/usr/bin/env bash
# Square brackets on a fake CUDA tensor need a CUDA build of torch; every other operation does not.
#
# One would guess: under FakeTensorMode nothing is ever computed, so a machine without a GPU can trace, shape-check or
#   export code for device="cuda" with the CPU build of torch, as `torch.empty(…, device="cuda")`, products and
#   `select` under that mode show.
# What happens: x[0], x[:, 1], x[1:], x[...] and x[index] raise "PyTorch is not linked with support for cuda devices",
#   while x.select(0, 0), x.unbind(0)[0], x.index_select(0, index) and the dispatched op aten.index give the fake result.
#   Python's brackets set a device guard for the tensor's device before anything is dispatched
#   (torch/csrc/autograd/python_variable_indexing.cpp, OptionalDeviceGuard in THPVariable_getitem), so no mode sees them.
# Whom it hurts: whoever writes shape functions of custom ops, or tests graphs for a GPU in CI without one: the same
#   line works in the GPU's CI and fails in the other, with words that point at the installation.
# Way round: compute shapes on meta tensors (device="meta" has no guard), or write select, narrow, unbind, index_select.
# Needs a CPU build of torch 2.13.0 (on Linux the index's default is the CUDA build): PIP_ARGS is passed to pip.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

print("torch", torch.__version__, "CUDA", torch.version.cuda)
if torch.version.cuda is not None:
    raise SystemExit("this needs the CPU build of torch; set PIP_ARGS to its index")
expected = {
    "x.select(0, 0)": (4,), "x.unbind(0)[0]": (4,), "x.index_select(0, i)": (2, 4),
    "torch.ops.aten.index.Tensor(x, [i])": (2, 4), "x @ x.t()": (3, 3),
    "x[0]": "refused", "x[:, 1]": "refused", "x[1:]": "refused", "x[...]": "refused", "x[i]": "refused",
}
found = {}
with FakeTensorMode():
    x, i = torch.empty(3, 4, device="cuda"), torch.zeros(2, dtype=torch.int64, device="cuda")
    for text in expected:
        try:
            found[text] = tuple(eval(text).shape)
        except RuntimeError as error:
            assert "not linked with support for cuda devices" in str(error), error
            found[text] = "refused"
        print(f"{text:40} {found[text]}")
    meta = torch.empty(3, 4, device="meta")
    print(f"{'on meta: x[0], x[:, 1], x[1:]':40} {[tuple(t.shape) for t in (meta[0], meta[:, 1], meta[1:])]}")
raise SystemExit(0 if found == expected else "the behaviour has changed")
PY
