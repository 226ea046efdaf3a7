"""Loads the DAG files of a folder and tells what they say, or ends at once where one of them connects."""

from __future__ import annotations

import json
import runpy
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


def refuse(*_: object) -> NoReturn:
    sys.exit("connected")


def texts_of(dag: Any) -> dict[str, Any]:
    schemas = [dag.params.get_param(name).schema for name in dag.params]
    return {
        "name": dag.dag_display_name,
        "description": dag.description,
        "docs": dag.doc_md,
        "titles": [one.get(part, "") for one in schemas for part in ("title", "description", "section")],
        "choices": [shown for one in schemas for shown in one.get("values_display", {}).values()],
        "tasks": [task.task_display_name for task in dag.tasks],
        "groups": [one.group_display_name for one in dag.task_group_dict.values() if one.group_id],
        "ids": [*dag.params, *dag.task_ids, dag.dag_id],
    }


def main(folder: str) -> None:
    socket.socket.connect = socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    told: dict[str, Any] = {}
    for path in sorted(Path(folder).glob("*.py")):
        found = runpy.run_path(str(path))
        from airflow.sdk import DAG  # noqa: PLC0415 (connections are refused to Airflow too)

        told |= {dag.dag_id: texts_of(dag) for dag in found.values() if isinstance(dag, DAG)}
    print(json.dumps(told))  # noqa: T201 (for the test)


if __name__ == "__main__":
    main(sys.argv[1])
