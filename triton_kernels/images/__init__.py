"""Convolution layers and pooling of batches of images."""
