"""Likelihoods of rows never seen, rows made up, priors, and codes that collapse."""
