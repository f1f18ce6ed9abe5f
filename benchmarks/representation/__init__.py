"""What is in the codes: labels, and the factors that made the data."""
