"""What the sensors share: one look at a portal at a time, in the worker or in the triggerer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.triggers.base import BaseTrigger

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.stopping import Stop, ToldToStopError
from airflow_bitrix.compat import conf
from airflow_bitrix.core import errors
from airflow_bitrix.core.errors import Bitrix24Error, RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.crm.questions import Question, ask
from airflow_bitrix.hooks.failures import final_failures, says_why
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID, opened, opened_async
from airflow_bitrix.operators.shared.parameters import switch
from airflow_bitrix.operators.shared.task_arguments import SensorArguments
from airflow_bitrix.operators.shared.timeouts import timeout_stops
from airflow_bitrix.triggers.shared_looks import Answer
from airflow_bitrix.triggers.waiting import FAILED, FOUND, SAID, as_found

if TYPE_CHECKING:
    from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook


class Bitrix24Sensor(BaseSensorOperator):
    """A sensor that waits until a portal shows something, and gives what it showed then.

    It looks once on the worker. Deferred, it looks on in the triggerer, where all that wait for the same
    connection ask together; ``poke_interval`` is kept there, and neither ``mode`` nor
    ``exponential_backoff`` mean anything. Otherwise it waits as ``mode`` says.

    A portal that is busy, closed for a while or cannot be reached is waited out. What it refuses for good
    (the webhook, the filter, an owner that is not there) fails the task at once, in its own words.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``. (templated)
    :param deferrable: Whether to wait in the triggerer; by default what ``[operators] default_deferrable``
        says.
    """

    template_fields: Sequence[str] = ("bitrix24_conn_id",)
    ui_color = "#d8f3fb"

    def __init__(
        self,
        *,
        bitrix24_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.bitrix24_conn_id = bitrix24_conn_id
        self.deferrable = switch("deferrable", deferrable)
        self.stop = Stop()
        self._asked: Question | None = None

    @abstractmethod
    async def question(self, portal: AsyncPortal) -> Question:
        """Give what to ask, from fields that are rendered by now; asked for once, where that succeeds.

        :raises InvalidInput: A field that cannot be right.
        """

    @abstractmethod
    def holds(self, answer: Answer) -> bool:
        """Whether an answer is what is waited for."""

    @abstractmethod
    def trigger(self, question: Question) -> BaseTrigger:
        """Give the trigger that waits for the same."""

    def on_kill(self) -> None:
        """Let no further request leave."""
        self.stop.tell()

    @says_why
    def execute(self, context: Context) -> Any:
        """Look, and wait as long as it is not so."""
        return super().execute(context)

    @cached_property
    def _hook(self) -> Bitrix24AsyncHook:
        # Airflow is asked for the connection before an event loop runs.
        hook = opened_async(self.bitrix24_conn_id, opened(self.bitrix24_conn_id).settings)
        hook.stop = self.stop
        return hook

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; where it is not so, and the sensor is deferrable, defer."""
        del context
        answer: Answer | None = None
        try:
            with final_failures(), timeout_stops(self.stop):
                answer = self.stop.run(self._look())
        except ToldToStopError as error:
            raise RetryLater(str(error)) from None
        except RetryLater as error:
            self.log.warning("%s", gettext("Nothing is known now, and waiting goes on: {error}", error=error))
        if answer is not None:
            self.log.info("%s", gettext("Seen: {seen}", seen=as_found(answer)))
            if self.holds(answer):
                return PokeReturnValue(is_done=True, xcom_value=as_found(answer))
        if self.deferrable and self._asked:
            self.defer(
                trigger=self.trigger(self._asked),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout),
            )
        return PokeReturnValue(is_done=False)

    async def _look(self) -> Answer:
        async with self._hook.portal() as portal:
            self._asked = self._asked or await self.question(portal)
            answer = (await ask(portal, [self._asked]))[self._asked]
        if isinstance(answer, Bitrix24Error):
            raise answer
        return answer

    @says_why
    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Give what the trigger found.

        :param event: That of the trigger.
        :raises Bitrix24Error: Why waiting makes no sense any more.
        """
        del context
        if FAILED in event:
            kind = errors.AuthFailed if event[FAILED] == "AuthFailed" else errors.Rejected
            with final_failures():
                raise kind(event[SAID])
        self.log.info("%s", gettext("Seen: {seen}", seen=event[FOUND]))
        return event[FOUND]
