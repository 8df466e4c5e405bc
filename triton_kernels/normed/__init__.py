"""Convolutions behind which a batch norm and a ReLU stand, as one autograd node."""
