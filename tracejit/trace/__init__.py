"""Python in, Function out."""
