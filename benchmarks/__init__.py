"""How fast, and how we know: counts that need no GPU, timings on a CPU, and one command for a GPU.

    make bench                              timings of what runs on a CPU, and the counts
    python -m benchmarks.counts             launches and bytes of training steps, simulated, against floor and torch
    python benchmarks/gpu.py --plan         what a GPU would be asked, against which peers and floors
    python benchmarks/gpu.py                ask it: one command, under ten minutes, one JSON with raw samples
    python -m benchmarks.audit FILE …       recompute every number of such a JSON from its samples
    python -m benchmarks.readme             the performance block of the README, from what is committed
"""
