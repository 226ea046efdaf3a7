"""Waiting for what a portal shows."""
