"""The two transformers.

What is refused before training, what a training run is made of, and what a fitted autoencoder does with rows and codes.
"""
