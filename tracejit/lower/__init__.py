"""Function in, machine code out."""
