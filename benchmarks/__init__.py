"""Benchmarks, one script per question: `README.md` lists them."""
