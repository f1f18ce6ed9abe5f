"""Distributions of codes: what priors and posteriors build."""
