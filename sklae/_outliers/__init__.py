"""The outlier detector.

Kinds of evidence and their combination, which rows to trust, thresholds, p-values and explanations.
"""
