"""Load, dispatch, cache, run: knows pointers and shapes, never ops."""
