"""What knows nothing of autoencoders.

Generators from a ``random_state``, the draws that scores share, PyTorch's process-wide settings, what parts have in
common, fits that are all or nothing, and what is private to scikit-learn.
"""
