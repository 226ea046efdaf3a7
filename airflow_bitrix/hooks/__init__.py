"""Hooks: an Airflow connection becomes a client of a portal."""
