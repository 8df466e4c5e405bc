"""The deck's 1d and 2d convolutions of one signal, as printed, and their gradients."""
