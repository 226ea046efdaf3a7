"""What Airflow schedules by: the contact links, and the records, of a portal."""
