"""Whom the trigger form names is told, in DAGs of native and of textual templates."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.param import ParamsDict

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.notifications.bitrix24 import Bitrix24Notifier
from airflow_bitrix.pipelines.telling_form import telling_params, told_by_form


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize(
    ("answers", "told"),
    [({}, []), ({"tell_users": [5]}, ["5"]), ({"tell_users": [5, 6], "tell_chat": 7}, ["5", "6", "chat7"])],
)
def test_whom_the_form_names_is_told(is_native: bool, answers: dict[str, Any], told: list[str]) -> None:  # noqa: FBT001
    notifier: Bitrix24Notifier = told_by_form()
    params = {**ParamsDict(telling_params()).dump(), **answers, "bitrix24_conn_id": "portal"}
    dag = DAG("tells", schedule=None, render_template_as_native_obj=is_native)
    context: Any = {"dag": dag, "params": params}
    notifier.render_template_fields(context)
    calls = notifier._calls(context)
    assert [str(call.params.get("USER_ID", call.params.get("DIALOG_ID"))) for call in calls] == told
    assert notifier.bitrix24_conn_id == "portal"


def test_a_dag_may_name_somebody_from_the_start() -> None:
    assert ParamsDict(telling_params(tell_users=[7]))["tell_users"] == [7]
    with pytest.raises(InvalidInput, match="tell_users, tell_chat"):
        telling_params(users=[7])
