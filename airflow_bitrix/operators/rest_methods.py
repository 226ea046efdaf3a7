"""An operator for any REST method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

from airflow.sdk import XComArg

from airflow_bitrix.client.wire import METHOD_NAME
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.wording import as_rendered
from airflow_bitrix.operators.shared.base import Bitrix24Operator
from airflow_bitrix.operators.shared.parameters import is_nothing
from airflow_bitrix.operators.shared.task_arguments import ConnectedArguments


class Bitrix24MethodOperator(Bitrix24Operator):
    """Call any REST method of the portal: ``profile``, ``crm.lead.get`` and so on.

    Returns the method's ``result`` as it is. A call about contact links that the portal would read as another
    one is refused, as by the hook.

    :param api_method: Name of the method. (templated)
    :param api_params: Its parameters; ``None`` for none. (templated)
    """

    template_fields: Sequence[str] = (*Bitrix24Operator.template_fields, "api_method", "api_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"api_params": "json"}

    def __init__(
        self,
        *,
        api_method: str,
        api_params: Mapping[str, Any] | XComArg | None = None,
        **kwargs: Unpack[ConnectedArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.api_method = api_method
        self.api_params = api_params

    def parameters(self) -> dict[str, Any]:
        """Give ``api_params``, checked for their shape.

        :raises InvalidInput: ``api_method`` is no method name, or ``api_params`` no dict.
        """
        name = self.api_method
        if not isinstance(name, str) or is_nothing(name) or not METHOD_NAME.fullmatch(name):
            raise InvalidInput("api_method", name, gettext("the name of a REST method, such as 'profile'"))
        if self.api_params is not None and not isinstance(self.api_params, Mapping):
            raise InvalidInput(
                "api_params", self.api_params, gettext("a dict") + as_rendered(self.api_params)
            )
        return dict(self.api_params or {})
