"""What is judged: one entry per op id, in one module per family."""

from . import activations, attention, bands, convolution, convolution_layers, losses, networks, rows, training, updates
from .base import ACTIVATIONS, OPERATIONS, PARAMETERS, Form, Lift, Operation, Outputs, evaluate, literal, stable

__all__ = ["ACTIVATIONS", "OPERATIONS", "PARAMETERS", "Form", "Lift", "Operation", "Outputs", "activations",
           "attention", "bands", "convolution", "convolution_layers", "evaluate", "literal", "losses", "networks",
           "rows", "stable", "training", "updates"]
