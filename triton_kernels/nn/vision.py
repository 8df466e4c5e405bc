"""The vision transformer: images as sequences of patches, an encoder, a head on the class token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import functional as F
from ..runtime.leaves import Twin, leaf
from .layers import LayerNorm, Linear
from .transformers import TransformerEncoderLayer

Sides = int | tuple[int, int]


class PatchEmbedding(Twin, nn.Module):
    """vit.embed   images (B, C, H, W) as [token; w x_1 + b; …; w x_N + b] + position, (B, N + 1, embed_dim).

    H and W are image_size, one number or two, and patch_size divides both. Its state: weight (D, C, P, P) as a
    convolution's, bias (D,) unless bias=False, token (D,), position (N + 1, D), row 0 the token's.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    token: nn.Parameter
    position: nn.Parameter

    def __init__(
        self, image_size: Sides, patch_size: int, in_channels: int, embed_dim: int, bias: bool = True, *,
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        H, W = (image_size, image_size) if isinstance(image_size, int) else image_size
        if patch_size < 1 or H % patch_size or W % patch_size or not H * W:
            raise ValueError(f"PatchEmbedding: images of {H} × {W} do not divide into patches of {patch_size} × "
                             f"{patch_size}; choose a patch_size that divides both sides")
        self.image_size, self.patch_size = (H, W), patch_size
        shapes = {"weight": (embed_dim, in_channels, patch_size, patch_size), "bias": (embed_dim,),
                  "token": (embed_dim,), "position": (H * W // patch_size**2 + 1, embed_dim)}
        for name, shape in shapes.items():
            given = bias or name != "bias"
            self.register_parameter(
                name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)) if given else None)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """weight as torch's layers have it, uniform in ± 1/√(numbers of a patch); small positions; no intercepts."""
        bound = self.weight[0].numel() ** -0.5 if self.weight.numel() else 0.0
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.normal_(self.token, std=0.02)
        nn.init.normal_(self.position, std=0.02)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.patch_embedding(input, self.weight, self.bias, self.token, self.position)

    def extra_repr(self) -> str:
        D, C, P, _ = self.weight.shape
        H, W = self.image_size
        return f"{H} × {W}, patch_size={P}, in_channels={C}, embed_dim={D}, bias={self.bias is not None}"


class VisionTransformer(Twin, nn.Module):
    """vit   the head of the norm of the class token, behind num_layers blocks (vit.block) and an embedding (vit.embed).

    Arguments by torchvision's names; images may be oblong. Its state: `embedding` (a PatchEmbedding), `layers`
    0 … num_layers − 1 (each torch's TransformerEncoderLayer, norm first, GELU), `norm`, `head`. dropout is torch's.
    """

    def __init__(
        self, image_size: Sides, patch_size: int, num_layers: int, num_heads: int, hidden_dim: int, mlp_dim: int,
        dropout: float = 0.0, num_classes: int = 1000, in_channels: int = 3, *, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        self.embedding = PatchEmbedding(image_size, patch_size, in_channels, hidden_dim, **where)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(hidden_dim, num_heads, mlp_dim, dropout, "gelu", 1e-6, True, True, **where)
            for _ in range(num_layers))
        self.norm = LayerNorm(hidden_dim, 1e-6, **where)
        self.head = Linear(hidden_dim, num_classes, **where)

    def forward(self, input: Tensor) -> Tensor:
        x = self.dropout(self.embedding(input))
        for layer in self.layers:
            x = layer(x)
        found: Tensor = self.head(self.norm(x[:, 0]))
        return found
