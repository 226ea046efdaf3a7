"""An Airflow connection becomes a client. Imports ``compat`` and what asks the portal."""
