#!/usr/bin/env bash
# SymPy's derivative of Max(0, z) at 0 is 1/2, of the same function as a Piecewise 0, and the printed code keeps it.
#
# One would guess: two ways to write one function differentiate to one thing; at the kink the result is undefined, or
#   0 as everywhere in deep learning.
# What happens: Max differentiates to Heaviside(z), and SymPy 1.9 and later define Heaviside(0) = 1/2. lambdify,
#   pycode and ccode print the half, so generated code has a unit with z = 0 (after padding, a dead input, or an
#   integer bias) pass half a gradient on. The Piecewise form gives 0; Abs gives sign(0) = 0.
# Source: SymPy's documentation of Heaviside (H0 = 1/2 since 1.9) and of Max.fdiff.
# Whom it hurts: who derives backward passes symbolically and checks them at random points only: z = 0 never comes up,
#   and in training it does.
# Way round: write Piecewise((z, z > 0), (0, True)), or replace Heaviside(z) by Heaviside(z, 0).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} sympy==1.14.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import sympy
from sympy import Abs, Heaviside, Max, Piecewise, Symbol, lambdify, pycode

print("sympy", sympy.__version__)
z = Symbol("z", real=True)
forms = {"Max(0, z)": Max(0, z), "Piecewise": Piecewise((z, z > 0), (0, True)), "(z + Abs(z)) / 2": (z + Abs(z)) / 2}
found = {}
for name, form in forms.items():
    slope = form.diff(z)
    found[name] = [str(slope.subs(z, 0)), float(lambdify(z, slope, "numpy")(np.array([0.0]))[0])]
    print(f"{name:18} derivative {str(slope):34} at 0: {found[name][0]:4} generated code at 0: {found[name][1]}")
print(pycode(Max(0, z).diff(z)))
found["Heaviside(0, 0)"] = [str(Heaviside(0, 0)), float(Max(0, z).diff(z).replace(Heaviside, lambda *a: Heaviside(a[0], 0)).subs(z, 0))]
expected = {"Max(0, z)": ["1/2", 0.5], "Piecewise": ["0", 0.0], "(z + Abs(z)) / 2": ["1/2", 0.5], "Heaviside(0, 0)": ["0", 0.0]}
raise SystemExit(0 if found == expected else f"the behaviour has changed: {found}")
PY
