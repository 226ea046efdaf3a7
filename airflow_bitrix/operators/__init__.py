"""Operators: the thirty link methods, and link work in bulk. Imports hooks and both wings below them."""
