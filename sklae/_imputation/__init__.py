"""The imputer.

A linear-Gaussian start, a conditional VAE of what that misses, and how far to believe either.
"""
