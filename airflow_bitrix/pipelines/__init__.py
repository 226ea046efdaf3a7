"""What a DAG author composes with: the tasks behind a plan, and trigger forms. Imports ``operators``."""

import airflow_bitrix.compat  # noqa: F401 (it says where the language of forms is set)
