#!/usr/bin/env bash
# h5py: 65519 in a float16 dataset is 65504 or infinite, by the spelling of the line that writes it; bfloat16 ties go
#   up.
#
# One would guess: one conversion, NumPy's, whichever line stores the array; and a library that converts between float
#   formats rounds to even, as IEEE 754 and everybody does.
# What happens: create_dataset(data=x, dtype="f2") converts floats by NumPy; ds[...] = x and ds.astype("f2")[:] hand
#   them to the HDF5 library, which calls every float16 above 65504 infinite, where rounding goes down until 65520.
#   Into a bfloat16 type put together from the float32 one it rounds ties up: 1 + 2⁻⁸ is 1.0078125, and means drift.
#   Integers it saturates, 300 to 255, where x.astype("u1") wraps to 44.
# Source: h5py/_hl/base.py, array_for_new_object; H5T conversion of HDF5 2.0.0; h5py issues 819 and 1221 are older
#   kin.
# Whom it hurts: who shrinks weights or activations into 16-bit datasets batch by batch and checks them against NumPy,
#   and who expects an overflow of integers to show: saturated numbers look like data.
# Way round: ds[...] = x.astype(ds.dtype); store bfloat16 as its bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 h5py==3.16.0 ml_dtypes==0.6.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import h5py
import ml_dtypes
import numpy as np

print("h5py", h5py.__version__, "HDF5", h5py.version.hdf5_version, "numpy", np.__version__)
file, found = h5py.File("unused", "w", driver="core", backing_store=False), []
print("300 as u1 by astype:", np.array([300]).astype("u1").tolist())
for x, kind in (np.array([300, -1, 7]), "u1"), (np.array([65504, 65519, 65520, 2049], np.float32), "f2"):
    file.create_dataset("at once " + kind, data=x, dtype=kind)
    file.create_dataset("assigned " + kind, x.shape, kind)[...] = x
    file.create_dataset("wide " + kind, data=x)
    pair = file["at once " + kind][...], file["assigned " + kind][...], file["wide " + kind].astype(kind)[...]
    print(f"{x.tolist()} as {kind}: create_dataset {pair[0].tolist()}, assigned {pair[1].tolist()}, read by astype {pair[2].tolist()}")
    found += [one.tolist() for one in pair]
bfloat16 = h5py.h5t.IEEE_F32LE.copy()
bfloat16.set_fields(15, 7, 8, 0, 7)                       # sign, exponent, mantissa
bfloat16.set_size(2)
bfloat16.set_ebias(127)
x, y = np.array([1 + 2**-8, 1 + 3 * 2**-8], np.float32), np.empty(2, np.float32)
ds = h5py.h5d.create(file.id, b"b", bfloat16, h5py.h5s.create_simple((2,)))
ds.write(h5py.h5s.ALL, h5py.h5s.ALL, x)
ds.read(h5py.h5s.ALL, h5py.h5s.ALL, y)
even = x.astype(ml_dtypes.bfloat16).astype(np.float32)
print(f"{x.tolist()} as bfloat16: HDF5 {y.tolist()}, ml_dtypes {even.tolist()}")
inf = float("inf")
held = (found == [*3 * [[255, 0, 7]], [65504.0, 65504.0, inf, 2048.0], *2 * [[65504.0, inf, inf, 2048.0]]]
        and y.tolist() == [1.0078125, 1.015625] and even.tolist() == [1.0, 1.015625])
raise SystemExit(0 if held else "the behaviour has changed")
PY
