"""Missing cells: how near they are filled, and whether intervals hold."""
