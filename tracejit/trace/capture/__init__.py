"""Capture of Python's control flow: loops and branches over traced values become ops.

A function that has any is compiled again from its source (source.py), rewritten so that its
constructs ask hooks what to do (rewrite.py, expressions.py, matching.py, liveness.py). On concrete values the answer is: what
Python does. On traced ones the code of an arm or of a loop's body runs in its own frame, in a region
of the trace (trace/regions.py), and what it changed (state.py, joins.py) becomes the results of an
op (branches.py, loops.py, whiles.py). What Python's builtins go through (generators.py, sequences.py)
they go through in loops that are captured themselves (folds.py).
"""
