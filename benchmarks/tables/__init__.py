"""Mixed tables straight from a file: before a classifier, and synthetic ones."""
