"""Linear-Gaussian models in closed form: what the nonlinear ones start from, and fall back on."""
