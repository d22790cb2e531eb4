"""Explain what was compiled."""
