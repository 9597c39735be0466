"""Benchmarks: one module for each number the project quotes, each beside a reference measured in the same run."""
