"""Kernel in, Kernel out: schedules by hand, step by step, each step checked before it is taken."""
