"""The optimizers, alone and behind the averaged gradient in one kernel."""
