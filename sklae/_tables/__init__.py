"""Tables as they are, and as tensors: the only wing that knows frames.

Frames, kinds of columns, categories and their codes, conditions, scaling, the layout that holds all of them, and where
values lie.
"""
