"""What all operators share: while the portal lets a method rest, they hold no worker slot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator, Context

from airflow_bitrix.client.stopping import Stop, ToldToStopError
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.hooks.failures import final_failures, says_why
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID, opened
from airflow_bitrix.operators.shared.parameters import switch
from airflow_bitrix.operators.shared.task_arguments import DeferrableArguments, TaskArguments

if TYPE_CHECKING:
    from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook

MOST_DEFERRALS = 20
"""How often in a row an operator defers without having got anywhere."""


class Bitrix24BaseOperator(BaseOperator):
    """An operator whose work may have to wait until a method's operating time is free again.

    A subclass does its work in :meth:`work`. Where that raises ``RetryLater`` with ``until``, the task is
    deferred until then and the work is done again, from where it can go on. The trigger only waits: it knows
    the time and nothing else.

    :param deferrable: Whether to defer while the portal lets a method rest; without it Airflow's retries have
        to bridge the rest.
    """

    got_on = False
    """Whether the work got on before it had to wait; the count of deferrals begins anew then."""

    grace = 0.0
    """Seconds in which the work may still account for what was under way when it is told to stop."""

    def __init__(self, *, deferrable: bool = True, **kwargs: Unpack[TaskArguments]) -> None:
        super().__init__(**kwargs)
        self.deferrable = switch("deferrable", deferrable)
        self.stop = Stop(self.grace)

    @abstractmethod
    def work(self, context: Context, *, deferrals: int) -> Any:
        """Do the work and give its result.

        :param deferrals: How often it has been deferred without getting on; 0 at first, else at least 1.
        :raises RetryLater: The portal lets a method rest until ``until``.
        """

    def on_kill(self) -> None:
        """Let no further request leave. Airflow calls it on SIGTERM, in the middle of the work.

        Airflow raises nothing then: the work goes on by itself until SIGKILL comes, five seconds later.
        """
        self.stop.tell()

    def execute(self, context: Context) -> Any:
        """Do the work; defer where the portal lets a method rest for long."""
        return self._work_or_defer(context, deferrals=0)

    def execute_again(self, context: Context, event: Any = None, deferrals: int = 1) -> Any:
        """Do the work again after the rest.

        :param event: The time at which the trigger fired.
        :param deferrals: How often the work has been deferred without getting on.
        """
        del event
        return self._work_or_defer(context, deferrals=deferrals)

    @says_why
    def _work_or_defer(self, context: Context, *, deferrals: int) -> Any:
        try:
            return self.work(context, deferrals=deferrals)
        except ToldToStopError as error:
            # Where Airflow wants another try, as after a worker was shut down, that goes on.
            raise RetryLater(str(error)) from None
        except RetryLater as error:
            deferrals = 0 if self.got_on else deferrals
            if error.until is None or not self.deferrable or deferrals >= MOST_DEFERRALS:
                raise
            until, said = error.until, str(error)
        return self._defer(until, said, deferrals + 1)

    def _defer(self, until: float, said: str, deferrals: int, **told: float) -> NoReturn:
        moment = datetime.fromtimestamp(until, UTC)
        self.log.info(
            "%s",
            gettext(
                "Deferred until {until}: {said}",
                until=moment.isoformat(timespec="seconds"),
                said=said,
            ),
        )
        trigger = DateTimeTrigger(moment=moment)
        self.defer(trigger=trigger, method_name="execute_again", kwargs={"deferrals": deferrals, **told})


class Bitrix24Operator(Bitrix24BaseOperator):
    """One call of a REST method; a subclass names the method and builds its parameters.

    What the portal refuses, and input that it would misread, fails the task at once; a portal that is busy
    or cannot be reached lets Airflow retry. While the portal lets the method rest, the task is deferred.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``. (templated)
    :param deferrable: Whether to defer; without it Airflow's retries have to bridge the rest.
    """

    template_fields: Sequence[str] = ("bitrix24_conn_id",)
    ui_color = "#d8f3fb"

    api_method: str = ""

    owner_url = ""
    """What the link *Open in Bitrix24* leads to, once the operator works."""

    def __init__(
        self, *, bitrix24_conn_id: str = DEFAULT_CONN_ID, **kwargs: Unpack[DeferrableArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.bitrix24_conn_id = bitrix24_conn_id

    @cached_property
    def hook(self) -> Bitrix24Hook:
        """The hook of the operator's connection."""
        hook = opened(self.bitrix24_conn_id)
        hook.stop = self.stop
        return hook

    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the call, from fields that are rendered by now.

        :raises InvalidInput: A field that the portal would misread.
        """
        return {}

    def page(self) -> str:
        """Give the address of the page on the portal that the call is about; empty where there is none."""
        return ""

    def title(self, parameters: Mapping[str, Any]) -> str:
        """Give what the call is about, as mapped instances of a task are called; empty for their numbers."""
        del parameters
        return ""

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Say for the log what came of the call: ids at most, as other values may be personal."""
        del parameters, result
        return "done"

    def work(self, context: Context, *, deferrals: int) -> Any:
        """Make the call and return its result."""
        del deferrals
        with final_failures():
            parameters = self.parameters()
            self.owner_url = self.page()
        # Airflow reads it when the task has ended; of defaults of an operator a mapped one knows nothing.
        is_mapped = "ti" in context and (context["ti"].map_index or 0) >= 0
        if is_mapped and context.get("map_index_template") is None:
            context["map_index_template"] = self.title(parameters) or None
        result = self.hook.call(self.api_method, parameters)
        self.log.info("%s: %s", self.api_method, self.outcome(parameters, result))
        return result
