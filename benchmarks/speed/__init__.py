"""Time and memory of fits and of what comes after them."""
