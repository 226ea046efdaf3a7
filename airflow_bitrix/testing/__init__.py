"""What authors test their own rules and DAGs with, against a sandbox portal, by pytest.

Say ``pytest_plugins = ["airflow_bitrix.testing"]`` in the ``conftest.py`` of your tests. pytest itself is in
the extra ``testing``; the sandbox needs nothing that Airflow does not bring. The fixtures:

* ``bitrix24_sandbox``: a portal with made-up records, which lasts as long as the test; how many, and how it
  behaves, says the fixture ``bitrix24_sandbox_options``, which you may define anew
* ``bitrix24_conn_id``: an Airflow connection to it, ``bitrix24_default``
* ``run_dag``: runs a DAG file in a real Airflow of its own, see :class:`~airflow_bitrix.testing.runs.DagRuns`

and, to judge a rule without Airflow, the functions :func:`lead`, :func:`deal`, :func:`contact`,
:func:`judged` and, on a sandbox, :func:`judged_on`.
"""

from __future__ import annotations

from airflow_bitrix.engine.judging import Judged
from airflow_bitrix.testing.fixtures import (
    bitrix24_airflow,
    bitrix24_conn_id,
    bitrix24_sandbox,
    bitrix24_sandbox_options,
    pytest_configure,
    pytest_unconfigure,
    run_dag,
)
from airflow_bitrix.testing.judging import judged, judged_on
from airflow_bitrix.testing.owners import contact, deal, lead

__all__ = [
    "Judged",
    "bitrix24_airflow",
    "bitrix24_conn_id",
    "bitrix24_sandbox",
    "bitrix24_sandbox_options",
    "contact",
    "deal",
    "judged",
    "judged_on",
    "lead",
    "pytest_configure",
    "pytest_unconfigure",
    "run_dag",
]
