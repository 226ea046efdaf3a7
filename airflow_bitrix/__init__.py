"""Apache Airflow provider for the contact links of Bitrix24 CRM."""

__version__ = "0.4.0"
