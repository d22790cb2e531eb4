"""Graph to loops, loops to loops."""
