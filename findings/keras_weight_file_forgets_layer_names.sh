#!/usr/bin/env bash
# Keras' .weights.h5 of a functional model does not hold the layers' names: encoder's weights load into decoder.
#
# One would guess: layers that were given names are stored under them; loading into a model where encoder and decoder
#   were created in the other order puts each where it belongs, or says that it does not fit.
# What happens: the groups are called dense, dense_1, … after the class and the position among layers of that class.
#   With equal shapes the weights go to the wrong layer without a word; inserting a layer of one class shifts all
#   later ones of it. In a subclassed model the attribute's name is used, and the order does not matter.
# Source: keras/src/saving/saving_lib.py, _save_container_state: the class in snake case, as generated names would
#   change.
# Whom it hurts: who refactors a model, or reads the HDF5 file by name to carry weights to another library.
# Way round: save a subclassed model, compare outputs after loading, or write {layer.name: layer.get_weights()}
#   oneself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 h5py==3.16.0
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import h5py
import keras
import numpy as np

print("keras", keras.__version__, "h5py", h5py.__version__)
file = sys.argv[1] + "/one.weights.h5"
ones, twos = np.ones((2, 2)), np.full((2, 2), 2.0)


def functional(first, second):
    x = keras.Input((2,))
    y = keras.layers.Dense(2, use_bias=False, name=first)(x)
    return keras.Model(x, keras.layers.Dense(2, use_bias=False, name=second)(y))


class Subclassed(keras.Model):
    def __init__(self, *names):
        super().__init__()
        for name in names:
            setattr(self, name, keras.layers.Dense(2, use_bias=False, name=name))
        self.build((1, 2))

    def build(self, shape):
        self.encoder.build(shape)
        self.decoder.build(shape)
        self.built = True


def through_the_file(make):
    saved, loaded = make("encoder", "decoder"), make("decoder", "encoder")
    saved.get_layer("encoder").set_weights([ones])
    saved.get_layer("decoder").set_weights([twos])
    saved.save_weights(file)
    loaded.load_weights(file)
    names = []
    h5py.File(file).visit(lambda name: names.append(name) if name.endswith("/0") else None)
    found = {name: float(loaded.get_layer(name).get_weights()[0][0, 0]) for name in ("encoder", "decoder")}
    print(f"{make.__name__:10} saved encoder 1, decoder 2; file {names}; loaded {found}")
    return names, found


held = (through_the_file(functional) == (["layers/dense/vars/0", "layers/dense_1/vars/0"], {"encoder": 2.0, "decoder": 1.0})
        and through_the_file(Subclassed)[1] == {"encoder": 1.0, "decoder": 2.0})
raise SystemExit(0 if held else "the behaviour has changed")
PY
