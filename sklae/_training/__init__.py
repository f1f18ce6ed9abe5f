"""The training engine, and the only wing that imports skorch.

A skorch net without the overheads, its batches, callbacks and optimizers, and several nets trained in one pass.
"""
