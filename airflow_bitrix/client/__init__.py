"""Talking to a portal: wire format, pacing, retries, batches, scans and plans. No Airflow."""
