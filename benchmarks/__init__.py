"""Benchmarks on the sandbox portal: ``make bench``."""
