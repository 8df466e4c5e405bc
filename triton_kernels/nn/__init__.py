"""torch.nn's modules over these kernels: same constructor, repr and `state_dict` as their torch twin, which they
subclass; the deck's networks; and layers that torch has as several modules, fused.

A module adds no state of its own in `__init__`, so that a torch module becomes one by changing its class (`patch`).
Names that are not here are torch.nn's (`torch_names`).
"""

from __future__ import annotations

from torch import nn
from torch.nn import Flatten as Flatten
from torch.nn import Identity as Identity
from torch.nn import Module as Module
from torch.nn import ModuleDict as ModuleDict
from torch.nn import ModuleList as ModuleList
from torch.nn import Parameter as Parameter
from torch.nn import Sequential as Sequential

from .. import functional as functional
from ..bands.modules import LocallyConnected1d as LocallyConnected1d
from ..bands.modules import SharedLinear as SharedLinear
from ..runtime import torch_names
from . import layers
from .layers import ELU as ELU
from .layers import GELU as GELU
from .layers import BatchNorm1d as BatchNorm1d
from .layers import BatchNorm2d as BatchNorm2d
from .layers import BatchNorm3d as BatchNorm3d
from .layers import BCEWithLogitsLoss as BCEWithLogitsLoss
from .layers import Conv1d as Conv1d
from .layers import Conv2d as Conv2d
from .layers import ConvActPool as ConvActPool
from .layers import CrossEntropyLoss as CrossEntropyLoss
from .layers import LayerNorm as LayerNorm
from .layers import LazyBatchNorm1d as LazyBatchNorm1d
from .layers import LazyBatchNorm2d as LazyBatchNorm2d
from .layers import LazyBatchNorm3d as LazyBatchNorm3d
from .layers import LazyConv1d as LazyConv1d
from .layers import LazyConv2d as LazyConv2d
from .layers import LazyLinear as LazyLinear
from .layers import LeakyReLU as LeakyReLU
from .layers import Linear as Linear
from .layers import LinearAct as LinearAct
from .layers import MaxPool1d as MaxPool1d
from .layers import MaxPool2d as MaxPool2d
from .layers import MSELoss as MSELoss
from .layers import ReLU as ReLU
from .layers import Sigmoid as Sigmoid
from .layers import Softmax as Softmax
from .layers import Tanh as Tanh
from .networks import MLP as MLP
from .networks import LeNet as LeNet
from .networks import Net as Net
from .networks import ResidualBlock as ResidualBlock
from .transformers import MultiheadAttention as MultiheadAttention
from .transformers import TransformerEncoder as TransformerEncoder
from .transformers import TransformerEncoderLayer as TransformerEncoderLayer
from .vision import PatchEmbedding as PatchEmbedding
from .vision import VisionTransformer as VisionTransformer

if hasattr(layers, "LinearCrossEntropyLoss"):
    from .layers import LinearCrossEntropyLoss as LinearCrossEntropyLoss

__getattr__ = torch_names.torchs("nn", nn)
__dir__ = torch_names.listed(globals(), nn)
