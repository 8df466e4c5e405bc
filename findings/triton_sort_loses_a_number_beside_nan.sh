#!/usr/bin/env bash
# tl.sort of numbers with a NaN among them returns something that is no permutation of them: one is lost, another twice.
#
# One would guess: a NaN ends up somewhere odd, as with comparison sorts elsewhere, but every number that went in comes
#   out once.
# What happens: each lane of a pair decides alone whether to keep its own number or to take its partner's, by `own >
#   partner`, and the right lane by the negation. With NaN the comparison is false on both sides, so one lane keeps and
#   the other takes: [1, NaN] sorts to [1, 1] and [NaN, 1] to [NaN, NaN]. Among eight numbers one NaN costs a number, or
#   becomes several. tl.topk is made of the same steps.
# Source: triton/language/standard.py, _compare_and_swap; run here in Triton's own interpreter on a CPU (the same
#   function that is compiled for a GPU, where each lane computes its own select, too).
# Whom it hurts: who sorts scores or takes a top-k in a kernel (sampling, routing of experts): one NaN does not show as
#   NaN at the end, a real number silently vanishes and another counts twice.
# Way round: tl.where(x == x, x, -inf) before sorting.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 triton==3.7.1 numpy==2.3.5
cat > "$folder/sort.py" <<'PY'
import torch
import triton
import triton.language as tl


@triton.jit
def ascending(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.sort(tl.load(x + i)))


print("torch", torch.__version__, "triton", triton.__version__)
nan, lost = float("nan"), []
for numbers in ([1.0, nan], [nan, 1.0], [3.0, 1.0, nan, 2.0, 0.0, 7.0, 5.0, 4.0], [nan, 1.0, 2.0, 3.0]):
    x, y = torch.tensor(numbers), torch.empty(len(numbers))
    ascending[(1,)](x, y, len(numbers))
    there = x.nan_to_num(-1).sort().values.tolist()
    got = y.nan_to_num(-1).sort().values.tolist()
    lost.append(there != got)
    print(f"{numbers} -> {y.tolist()}  a permutation: {there == got}")
x, y = torch.tensor([3.0, 1.0, 2.0, 0.0]), torch.empty(4)
ascending[(1,)](x, y, 4)
print(f"without NaN: {y.tolist()}")
raise SystemExit(0 if all(lost) and y.tolist() == [0, 1, 2, 3] else "the behaviour has changed")
PY
TRITON_INTERPRET=1 "$folder/venv/bin/python" "$folder/sort.py"
