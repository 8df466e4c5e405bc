"""The transformer's own: rows of a softmax, attention, products with a norm or an activation on load, blocks."""
