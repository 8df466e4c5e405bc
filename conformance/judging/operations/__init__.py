"""What is judged: one entry per op id, in one module per family."""

from . import activations, bands, convolution, convolution_layers, losses, networks, training, updates
from .base import ACTIVATIONS, OPERATIONS, PARAMETERS, Form, Lift, Operation, Outputs, evaluate, literal, stable

__all__ = ["ACTIVATIONS", "OPERATIONS", "PARAMETERS", "Form", "Lift", "Operation", "Outputs", "activations", "bands",
           "convolution", "convolution_layers", "evaluate", "literal", "losses", "networks", "stable", "training",
           "updates"]
