"""Tests that share one running Airflow."""
