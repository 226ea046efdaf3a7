"""Making plans and carrying them out: facts for rules, migrations, preconditions, apply.

Imports ``crm``, ``client`` and ``core``; knows no file and no Airflow.
"""
