"""The histories of `test_patch_histories` for sequences: layers of the encoder, attention, layer norm; and what is done
to parts inside them."""

from __future__ import annotations

import pytest
import test_patch_histories as patched
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from chainrule.conformance.simulator import simulate

WIDTH, TOKENS, SEQUENCES = patched.WIDTH, 5, "sequences"
FUNCTIONS = nn.functional.relu, nn.functional.gelu


class Attending(nn.Module):
    """Attention to itself, as a module of one input."""

    def __init__(self, heads):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, heads, batch_first=True)

    def forward(self, x):
        return x + self.attention(x, x, x, need_weights=False)[0]


def encoder(first, act="gelu"):
    return nn.TransformerEncoderLayer(WIDTH, 1 if first else WIDTH, 5, 0.0, act, batch_first=True, norm_first=first)


patched.KINDS[SEQUENCES] = {
    "encoder, post": lambda: encoder(False, "relu"), "encoder, pre": lambda: encoder(True),
    "encoder, tanh": lambda: encoder(True, nn.Tanh()),
    "encoder of two": lambda: nn.TransformerEncoder(encoder(False, nn.GELU()), 2, nn.LayerNorm(WIDTH), False),
    "attention": lambda: Attending(WIDTH), "norm": lambda: nn.LayerNorm(WIDTH),
    "norm, bare": lambda: nn.LayerNorm((TOKENS, WIDTH), elementwise_affine=False),
    "linear": lambda: nn.Linear(WIDTH, WIDTH), "softmax": lambda: nn.Softmax(1), "dropout": lambda: nn.Dropout(0.0),
}
patched.SHAPES[SEQUENCES] = (TOKENS, WIDTH)


def inside(model, i, n):
    """Something is done to a part of an encoder's layer, or to the attention in a module of somebody's."""
    part = model[i]
    if isinstance(part, Attending):
        part.attention.register_forward_hook(lambda module, args, y: (y[0] * 2, y[1]))
    if not isinstance(part, nn.TransformerEncoderLayer):
        return
    inner = (part.norm1, part.norm2, part.linear1, part.linear2, part.dropout1)[i % 5]
    ways = (
        lambda: inner.register_forward_hook(lambda module, args, y: y * 0.5),
        lambda: setattr(part, "linear2", patched.Added(part.linear2)),
        lambda: part.self_attn.register_forward_hook(lambda module, args, y: (y[0] * 2, y[1])),
        lambda: [p.requires_grad_(False) for p in inner.parameters()],
        lambda: setattr(part, "norm_first", not part.norm_first),
        lambda: setattr(part, "activation", FUNCTIONS[i % 2]),
        lambda: setattr(inner, "eps", 0.5), lambda: part.self_attn.in_proj_weight.requires_grad_(False))
    ways[n]()


NAMES = st.lists(st.sampled_from([*patched.KINDS[SEQUENCES]] * 2 + [*patched.ACTIVATIONS]), min_size=2, max_size=5)
MODELS = st.tuples(st.just(SEQUENCES), NAMES, st.sampled_from([nn.Sequential, patched.Preset]))
STEPS = [step for step in patched.STEPS if step is not patched.converted]
HISTORIES = st.lists(
    st.tuples(st.sampled_from([*STEPS, *[inside] * 6]), st.integers(0, 5), st.integers(0, 7)), max_size=4)
GIVEN = MODELS, HISTORIES, st.sampled_from(patched.WAYS), st.integers(0, 3)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(*GIVEN)
def test_histories(shape, history, way, seed):
    patched.compared(shape, history, way, seed)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(*GIVEN)
def test_many_histories(shape, history, way, seed):
    patched.compared(shape, history, way, seed)


@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(*GIVEN)
def test_histories_of_kernels(shape, history, way, seed):
    with simulate(check=False):
        patched.compared(shape, history, way, seed)
