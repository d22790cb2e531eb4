"""The benchmarks: tracejit against NumPy, its peers and the machine's own limits."""
