"""What is added to Airflow's UI: the report tab. Imports ``report``, ``files`` and where runs lie."""
