"""Ordinary NumPy programs on real data, compiled by tracejit and checked against NumPy."""
