"""What all operators share: while the portal lets a method rest, they hold no worker slot."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime
from typing import Any, NoReturn, Unpack

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator, Context

from airflow_bitrix.client.stopping import Stop, ToldToStopError
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.hooks.failures import says_why
from airflow_bitrix.operators.shared.parameters import switch
from airflow_bitrix.operators.shared.task_arguments import TaskArguments

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
        self.log.info("Deferred until %s: %s", moment.isoformat(timespec="seconds"), said)
        trigger = DateTimeTrigger(moment=moment)
        self.defer(trigger=trigger, method_name="execute_again", kwargs={"deferrals": deferrals, **told})
