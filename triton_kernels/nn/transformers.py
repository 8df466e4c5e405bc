"""Attention and the encoder's layers: torch's modules of the same names and `state_dict`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import functional as F
from ..activations import saved
from ..attention import block
from ..runtime.instead import or_torch
from ..runtime.launch import runs_kernel
from ..runtime.leaves import Twin, leaf
from ..runtime.nodes import in_graph, recorded
from ..runtime.precision import autocast_somewhere
from ..runtime.refusals import WrongType, WrongValue
from .layers import LayerNorm, Linear, alone, named


class MultiheadAttention(Twin, nn.MultiheadAttention):
    """attn.head in every head, between two products. With need_weights=True (torch's default), keys of its own
    (add_bias_kv, add_zero_attn), or an example without a batch, torch's own; so is the attention alone with dropout,
    or with a mask that is not one value a key or causal."""

    @leaf
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        return _attended(self, query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights,
                         is_causal)


@or_torch(nn.MultiheadAttention.forward)
def _attended(
    module: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None,
    need_weights: bool, attn_mask: Tensor | None, average_attn_weights: bool, is_causal: bool,
) -> tuple[Tensor, Tensor | None]:
    name = "MultiheadAttention"
    if need_weights:
        raise WrongValue(f"{name}: need_weights=True has no kernel: the weights are never in memory")
    if module.bias_k is not None or module.bias_v is not None or module.add_zero_attn:
        raise WrongValue(f"{name}: add_bias_kv and add_zero_attn have no kernel")
    if not all(isinstance(t, Tensor) and t.dim() == 3 and not t.is_nested for t in (query, key, value)):
        raise WrongType(f"{name}: expected query, key and value of three dimensions, strided")
    if is_causal and attn_mask is None:
        raise WrongValue(f"{name}: is_causal needs the attn_mask that it speaks of")
    together = query is key and key is value and module.in_proj_weight is not None
    q, k, v = (t if module.batch_first else t.transpose(0, 1) for t in (query, key, value))
    H = module.num_heads
    keep, mask = _masks(key_padding_mask, None if is_causal else attn_mask, len(q), H)
    p = module.dropout if module.training else 0.0
    if together and mask is None and not p:
        qkv = F.linear(q, module.in_proj_weight, module.in_proj_bias)
        o = F.self_attention(qkv.view(*qkv.shape[:2], 3, H, module.head_dim), keep, is_causal)
    else:
        q, k, v = (F.linear(t, w, b).view(*t.shape[:2], H, module.head_dim).transpose(1, 2)
                   for t, (w, b) in zip((q, k, v), _projections(module)))
        o = _any_mask(q, k, v, keep, mask, p, is_causal).transpose(1, 2)
    y = F.linear(o.flatten(2), module.out_proj.weight, module.out_proj.bias)
    return y if module.batch_first else y.transpose(0, 1), None


def _projections(module: nn.MultiheadAttention) -> list[tuple[Tensor, Tensor | None]]:
    """The weight and the bias that make Q, K and V."""
    weights: tuple[Tensor, ...] = module.q_proj_weight, module.k_proj_weight, module.v_proj_weight
    if module.in_proj_weight is not None:
        weights = module.in_proj_weight.chunk(3)
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    return list(zip(weights, biases))


def _masks(padding: Tensor | None, mask: Tensor | None, B: int, H: int) -> tuple[Tensor | None, Tensor | None]:
    """(which keys take part, (B, T), if the padding says that; any other mask as attention takes it)."""
    if mask is not None and mask.dim() == 3:
        mask = mask.view(B, H, *mask.shape[1:])
    if mask is not None and mask.dtype == torch.bool:
        mask = ~mask
    if padding is None or padding.dtype == torch.bool:
        return None if padding is None else ~padding, mask
    scores = padding[:, None, None, :]
    if mask is None:
        return None, scores
    return None, scores + (mask if mask.is_floating_point() else _scores(mask, scores.dtype))


def _scores(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """What a mask of truth values adds to scores."""
    return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, -torch.inf)


def _any_mask(
    q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, mask: Tensor | None, p: float, causal: bool
) -> Tensor:
    """Attention (B, H, S, D), by torch where a mask or dropout has no kernel."""
    keys = None if keep is None else keep[:, None, None, :]
    if causal and keys is not None:
        mask, causal = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril(), False
    if mask is None:
        mask = keys
    elif keys is not None:
        mask = mask & keys if mask.dtype == torch.bool else mask + _scores(keys, mask.dtype)
    return F.scaled_dot_product_attention(q, k, v, mask, p, causal)


class TransformerEncoderLayer(Twin, nn.TransformerEncoderLayer):
    """One layer of the encoder, norm first or last. A sum and the norm of it are one pass, and so are the first
    product and its activation; dropout is torch's, by its generator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for child in self.children():
            child.__class__ = CHILDREN.get(type(child), type(child))

    @leaf
    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        if src.is_nested:
            found: Tensor = super().forward(src, src_mask, src_key_padding_mask, is_causal)
            return found
        masks = src_mask, src_key_padding_mask, is_causal
        if self.norm_first:
            whole = _whole(self, src, *masks)
            if whole is not None:
                return whole
            x, y = added(self.norm2, src, self._sa_block(self.norm1(src), *masks))
            return x + self._ff_block(y)
        _, y = added(self.norm1, src, self._sa_block(src, *masks))
        return added(self.norm2, y, self._ff_block(y))[1]

    def _ff_block(self, x: Tensor) -> Tensor:
        act = fused(self.linear1, self.activation)
        if not act:
            return super()._ff_block(x)
        a = F.linear_act(x, self.linear1.weight, self.linear1.bias, act)
        found: Tensor = self.dropout2(self.linear2(self.dropout(a)))
        return found


def _whole(
    layer: nn.TransformerEncoderLayer, x: Tensor, mask: Tensor | None, padding: Tensor | None, causal: bool
) -> Tensor | None:
    """The layer as one node that keeps little; None where something in it would be passed over, or has no kernel."""
    own, norms, linears = layer.self_attn, (layer.norm1, layer.norm2), (layer.linear1, layer.linear2)
    act = fused(layer.linear1, layer.activation)
    drops = (layer.dropout, layer.dropout1, layer.dropout2)
    usual = (
        act and saved.form(act, x.dtype, 0.0) == "z" and runs_kernel(x) and x.dim() == 3 and not in_graph()
        and not autocast_somewhere() and (causal or mask is None)
        and all(type(norm) is LayerNorm for norm in norms) and all(type(one) is Linear for one in linears)
        and type(own) is MultiheadAttention and own.batch_first and own.in_proj_weight is not None
        and own.bias_k is None and not own.add_zero_attn and not (layer.training and (own.dropout or any(
            type(one) is not nn.Dropout or one.p for one in drops)))
        and alone(own, own.out_proj, *norms, *linears, *drops)
        and (padding is None or padding.dtype == torch.bool))
    if not usual:
        return None
    parameters = (layer.norm1.weight, layer.norm1.bias, own.in_proj_weight, own.in_proj_bias, own.out_proj.weight,
                  own.out_proj.bias, layer.norm2.weight, layer.norm2.bias, layer.linear1.weight, layer.linear1.bias,
                  layer.linear2.weight, layer.linear2.bias)
    if not block.alike(x, parameters) or not recorded(x, *parameters):
        return None
    how = block.How(own.num_heads, causal, act, (layer.norm1.eps, layer.norm2.eps))
    return block.pre_norm(x, None if padding is None else ~padding, how, parameters)


CHILDREN: dict[type[nn.Module], type[nn.Module]] = {
    nn.MultiheadAttention: MultiheadAttention, nn.Linear: Linear, nn.LayerNorm: LayerNorm}


class TransformerEncoder(Twin, nn.TransformerEncoder):
    """Layers one after the other, which get a mask of truth values as it is given. Where torch may take the tail of
    padded examples out (in evaluation), torch's own."""

    @leaf
    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        padded = src_key_padding_mask is not None and self.enable_nested_tensor and not self.training
        if padded or (is_causal is None and mask is not None):      # torch looks whether the mask is causal
            found: Tensor = super().forward(src, mask, src_key_padding_mask, is_causal)
            return found
        masks = mask, src_key_padding_mask, bool(is_causal)
        for layer in self.layers:
            src = layer(src, *masks)
        return src if self.norm is None else self.norm(src)


def added(norm: nn.Module, past: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """(past + x, the norm of it): in one pass where it is our norm."""
    if type(norm) is LayerNorm and alone(norm) and past.dtype == x.dtype:
        y, total = F.add_layer_norm(past, x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        return total, y
    total = past + x
    return total, norm(total)


def fused(linear: nn.Module, act: Any) -> str:
    """The name of an activation that rides on this layer, or ""."""
    if type(linear) is not Linear or not alone(linear):
        return ""
    if isinstance(act, nn.Module):
        found = named(act) if alone(act) and not getattr(act, "inplace", False) else None
        return found[0] if found is not None and not found[1] else ""
    return {nn.functional.relu: "relu", F.relu: "relu", nn.functional.gelu: "gelu", F.gelu: "gelu"}.get(act, "")
