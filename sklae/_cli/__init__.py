"""The command line, ``python -m sklae [TABLE]``, and the reports it writes. Uses public methods only."""
