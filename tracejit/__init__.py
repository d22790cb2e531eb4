"""tracejit: a tracing array compiler for the NumPy code you already have."""
