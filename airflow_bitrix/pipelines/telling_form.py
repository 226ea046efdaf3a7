"""Asking in a trigger form whom in Bitrix24 to tell what becomes of the run."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.notifications.bitrix24 import Bitrix24Notifier
from airflow_bitrix.pipelines.bounds import between
from airflow_bitrix.pipelines.trigger_forms import with_defaults

_SECTION = gettext_noop("Whom to tell in Bitrix24")


def telling_params(**defaults: Any) -> dict[str, Param]:
    """Give the parameters with which a form asks whom to tell that an approval is wanted, and how it ended.

    They count where the pipeline goes by them: ``carry_out(plan, notify=told_by_form(), …)``.

    :param defaults: Other defaults, by the parameter's name: ``telling_params(tell_users=[7])``.
    :raises InvalidInput: There is no such parameter.
    """
    params = {
        "tell_users": Param(
            [],
            type=["null", "array"],
            items={"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            title=gettext("Users to tell"),
            description=gettext("Ids of users who hear that an approval is wanted, and how the run ended."),
            section=gettext(_SECTION),
        ),
        "tell_chat": Param(
            None,
            type=["null", "integer"],
            **between(1, 2**31 - 1),
            title=gettext("Chat to tell"),
            description=gettext("The number of a chat, such as 7 of chat7. Messages need the scope im."),
            section=gettext(_SECTION),
        ),
    }
    return with_defaults(params, defaults)


def told_by_form() -> Bitrix24Notifier:
    """Give the notifier that tells whom the form names, through the connection that it names."""
    return Bitrix24Notifier(
        users="{{ (params.tell_users or []) | join(',') }}",
        chat="{{ params.tell_chat or '' }}",
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
    )
