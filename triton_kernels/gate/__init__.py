"""The ahead-of-time gate: every shipped configuration compiled for GPUs that need not be here, and measured.

    python -m chainrule.triton_kernels.gate [sm_80 sm_90 …] [--json FILE]

Each op is called with tensors that have shapes and strides but no memory, so that argument specialisation, tile and
grid are the launcher's own; only the last step, the launch, is replaced by a compilation.
"""
