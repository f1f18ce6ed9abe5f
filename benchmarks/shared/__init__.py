"""What scripts of several families use: data sets, timing and printing, workloads, pythae's models."""
