"""The autoencoder as a PyTorch module, and all loss arithmetic."""
