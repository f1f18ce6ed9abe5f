"""Outlier detection: scores, explanations, p-values, seconds."""
