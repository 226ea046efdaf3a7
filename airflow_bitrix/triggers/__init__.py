"""Waiting without a worker slot, and telling Airflow what happened on a portal."""
