"""Flows driven by hand, what they make of each reply, and an allowance in a file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.client.allowance import FileAllowance, Unlimited
from airflow_bitrix.client.flow import Flow, Full, Manners, Send, Step, Wait
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.wire import Lost, Reply, Request
from airflow_bitrix.core.errors import Bitrix24Error
from tests.client.allowances import BUCKET, NOON


@dataclass
class Walk:
    """What a flow did: its steps, and its result or its error."""

    steps: list[Step] = field(default_factory=list)
    result: Any = None
    error: Bitrix24Error | None = None

    @property
    def sent(self) -> list[Request]:
        return [step.request for step in self.steps if isinstance(step, Send)]

    @property
    def waits(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Wait)]

    @property
    def told_full(self) -> int:
        return sum(isinstance(step, Full) for step in self.steps)


Answering = Callable[[Request], Reply | Lost]


@pytest.fixture
def walk() -> Callable[..., Walk]:
    """Drive a flow with the replies given, or with a function that answers each request."""

    def run(flow: Flow[Any], *replies: Reply | Lost, answering: Answering | None = None) -> Walk:
        left = iter(replies)
        done = Walk()
        reply: Reply | Lost | None = None
        steps: Generator[Step, Reply | Lost | None, Any] = flow
        try:
            while True:
                step = steps.send(reply)
                done.steps.append(step)
                reply = None
                if isinstance(step, Send):
                    reply = answering(step.request) if answering else next(left, None)
                    assert reply is not None, f"request {len(done.sent)} was not expected"
        except StopIteration as end:
            done.result = end.value
        except Bitrix24Error as error:
            done.error = error
        assert not list(left), "more requests were expected"
        return done

    return run


@pytest.fixture
def three_repeats() -> Manners:
    """Manners that repeat three times, after 1, 2 and 4 seconds."""
    return Manners(Unlimited(), Retries(times=3, first=1, longest=4, full=7), luck=lambda: 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme.bucket"


@pytest.fixture
def allowance(path: Path) -> FileAllowance:
    return FileAllowance(BUCKET, path, clock=lambda: NOON)
