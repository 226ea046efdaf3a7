"""Operators: the twelve link methods one by one, and link work in bulk."""
