"""What the tests use of Airflow that stands elsewhere in its older versions."""

from __future__ import annotations

from importlib.metadata import version

from packaging.version import Version

AIRFLOW = Version(version("apache-airflow-core"))
BEFORE_32 = Version("3.2") > AIRFLOW

try:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    from airflow.serialization.serialized_objects import (  # type: ignore[assignment, attr-defined]
        SerializedDAG as DagSerialization,
    )

__all__ = ["AIRFLOW", "BEFORE_32", "DagBag", "DagSerialization"]
