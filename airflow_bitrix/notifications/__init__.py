"""Telling people what becomes of a run: in Bitrix24, and by any other notifier of Airflow."""
