"""Loops to LLVM."""
