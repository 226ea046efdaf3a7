"""The portal as a whole: who may call, what a call costs, what it answers. No HTTP."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_bitrix.sandbox import batch, php, timeline_methods, wrong_answers, wrong_rows
from airflow_bitrix.sandbox.calls import Answer, Call, Method, record_id
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.errors import REFUSALS, FatalError, RestError
from airflow_bitrix.sandbox.fields import format_datetime
from airflow_bitrix.sandbox.limits import PLANS, Bucket, Budget, OperatingTime
from airflow_bitrix.sandbox.oauth import OAuthServer
from airflow_bitrix.sandbox.other_methods import METHODS
from airflow_bitrix.sandbox.schema import ENTITY_TYPES, RECORDS
from airflow_bitrix.sandbox.settings import Faults, Switches, changed
from airflow_bitrix.sandbox.state import State
from airflow_bitrix.sandbox.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bitrix.sandbox.schema import Kind

# What batches of webhooks use is booked under an empty credential, apart from what single calls use.
_BATCH_CREDENTIAL = ""
# Where a portal bills the batch itself, about half of its runtime arrives on the account.
_ENVELOPE_SHARE = 0.5

MOST_WRITES = 100_000
"""Writes that are remembered; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status and a JSON body."""

    status: int
    body: dict[str, Any]


class Caller(NamedTuple):
    """Who asks: a webhook's user and code, or the bearer of a token; neither where nobody says."""

    user: str = ""
    code: str = ""
    token: str | None = None


class Write(NamedTuple):
    """A method that was run to change a record, and the links that it left."""

    method: str
    owner_id: int
    links: tuple[tuple[int, int, bool], ...]


def _owner(method: str, params: Any) -> tuple[Kind | None, int]:
    """The record that a method writes; without a kind where it writes none."""
    named = method.split(".")[1] if "." in method else ""
    kind: Kind | None = named if named in RECORDS else None
    owner_id = record_id(params)
    if method == "crm.timeline.comment.add":
        kind, owner_id = timeline_methods.owner_told(php.item(params, "fields"))
    elif named == "item":
        kind = ENTITY_TYPES.get(php.to_int(php.item(params, "entityTypeId")))
    return (kind, owner_id) if kind and owner_id else (None, 0)


class Portal:
    """One portal with one webhook. Every public method holds the lock, so that threads may share it."""

    def __init__(
        self,
        state: State,
        *,
        code: str,
        user: int = 1,
        client_id: str = "",
        client_secret: str = "",
        plan: str = "standard",
        truth: Callable[[], Mapping[str, Any]] = dict,
        clock: Clock | None = None,
    ) -> None:
        self.code, self.user, self.plan = code, user, plan
        self._truth = truth
        self.clock = clock or Clock()
        self.oauth = OAuthServer(self.clock, client_id, client_secret)
        self.lock = threading.RLock()
        self.reset(state)

    def reset(self, state: State) -> None:
        """Begin anew with other data: no faults, no counts, no switches, empty limits."""
        with self.lock:
            self.state = state
            self.switches = Switches()
            self._taken = 0
            self.faults = Faults()
            self.stats = Stats()
            self.writes: deque[Write] = deque(maxlen=MOST_WRITES)
            self.bucket = Bucket(PLANS[self.plan])
            self.operating = OperatingTime()
            self._random = random.Random(self.faults.seed)

    # Controls

    @cached_property
    def truth(self) -> Mapping[str, Any]:
        """What was planted and what should come of it; worked out when somebody asks for the first time."""
        return self._truth()

    def set_switches(self, /, **given: Any) -> Switches:
        """Turn the named switches and leave the others."""
        with self.lock:
            self.switches = changed(self.switches, given)
            if {"refusal", "refusal_after"} & given.keys():
                self._taken = 0
            self._tell_state()
            return self.switches

    def reset_switches(self) -> None:
        """Turn every switch back."""
        with self.lock:
            self.switches = Switches()
            self._tell_state()

    def _tell_state(self) -> None:
        self.state.flag_at_once = self.switches.flag_at_once
        self.state.company_takes_primary = self.switches.company_takes_primary

    def set_faults(self, /, **given: Any) -> Faults:
        """Commit the named faults from now on, and no others."""
        with self.lock:
            self.faults = changed(Faults(), given)
            self._random = random.Random(self.faults.seed)
            return self.faults

    def reset_stats(self) -> None:
        """Count from nought."""
        with self.lock:
            self.stats = Stats()
            self.writes.clear()

    # Requests

    def admit(self, address: str) -> bool:
        """Let a request in, or refuse it because its address asks too much."""
        with self.lock:
            now = self.clock.monotonic()
            admitted = self.bucket.admit(address, now, count_refused=self.switches.count_refused)
            self.stats.max_level = max(self.stats.max_level, self.bucket.level(address, now))
            if admitted:
                self.stats.admitted += 1
            else:
                self.stats.refused_503 += 1
            return admitted

    def strikes(self, fault: str) -> bool:
        """Whether a fault happens now; counted if so."""
        with self.lock:
            share: float = getattr(self.faults, fault)
            struck = share > 0 and self._random.random() < share
            if struck:
                self.stats.faults[fault] += 1
            return struck

    def wrong_answers(self) -> list[str]:
        """The names of what is wrong with the next answer; counted."""
        with self.lock:
            kinds = [
                kind for kind, share in self.faults.wrong_answers.items() if self._random.random() < share
            ]
            self.stats.faults.update(kinds)
            return kinds

    def said(self, reply: Reply, method: str, params: Any, kinds: list[str]) -> tuple[int, bytes]:
        """What is said in place of an answer, with what is wrong with it."""
        with self.lock:
            return wrong_answers.said(reply, method, params, kinds, self._random)

    def lateness(self) -> float:
        """Seconds that a request has been on its way for longer than others."""
        with self.lock:
            return self._random.expovariate(1 / self.faults.late) if self.faults.late else 0.0

    def oauth_code(self, client_id: str) -> str:
        """Let an application in, in the name of the portal's user.

        :raises RestError: There is no such application.
        """
        with self.lock:
            return self.oauth.code(client_id, self.switches)

    def application(self, address: str) -> dict[str, str]:
        """Give what a connection holds of the local application, with a first pair of tokens.

        :param address: The portal's, which is the OAuth server's, too.
        """
        who = {"client_id": self.oauth.client_id, "client_secret": self.oauth.client_secret}
        code = self.oauth_code(self.oauth.client_id)
        told = self.oauth_tokens({"grant_type": "authorization_code", "code": code, **who})
        tokens = {name: told[name] for name in ("access_token", "refresh_token")}
        return {**who, **tokens, "server_endpoint": f"{address}/rest/"}

    def oauth_tokens(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Give tokens for a code or a refresh token.

        :raises RestError: It is no good.
        """
        with self.lock:
            return self.oauth.tokens(asked, self.switches, self.stats)

    def answer(self, caller: Caller, method: str, params: Any) -> Reply:
        """Run one request.

        :raises FatalError: It died on the way.
        """
        with self.lock:
            method = method.lower()
            self.stats.methods[method] += 1
            try:
                self._refuse()
                credential = self._let_in(caller)
                if method == "batch":
                    return self._run_batch(params, credential)
                outcome, time = self._run(method, params, credential)
                if isinstance(outcome, RestError):
                    raise outcome
            except RestError as error:
                self.stats.refused_429 += error.code == "OPERATION_TIME_LIMIT"
                return Reply(error.status, error.body())
            body = {"result": outcome.result, "next": outcome.next, "total": outcome.total, "time": time}
            present = {name: value for name, value in body.items() if name == "result" or value is not None}
            return Reply(200, present)

    def _let_in(self, caller: Caller) -> str:
        """Give whom operating time is booked on."""
        if caller.token is not None:
            self.oauth.check(caller.token, self.switches)
            return self.oauth.client_id
        if not caller.user:
            raise RestError("NO_AUTH_FOUND", "Wrong authorization data", 401)
        if caller.user != str(self.user) or caller.code != self.code:
            raise self._auth_error("INVALID_CREDENTIALS", "Invalid request credentials")
        return self.code

    def _refuse(self) -> None:
        if not self.switches.refusal:
            return
        self._taken += 1
        if self._taken > self.switches.refusal_after:
            code, text, documented, in_source = REFUSALS[self.switches.refusal]
            status = in_source if self.switches.auth_status == "source" else documented
            raise RestError(code, text, status)

    def _auth_error(self, code: str, description: str) -> RestError:
        return RestError(code, description, 401 if self.switches.auth_status == "source" else 403)

    def _run(
        self, name: str, params: Any, credential: str, *, billed: bool = True
    ) -> tuple[Answer | RestError, dict[str, Any]]:
        """Run one method, alone or as a command; the time map comes with the answer."""
        name = name.lower()
        in_batch = credential == _BATCH_CREDENTIAL
        counter = self.stats.commands_in_batches if in_batch else self.stats.commands_outside
        counter[name] += 1
        started, at = self.clock.monotonic(), self.clock.time()
        budget = Budget(credential, name)
        pretended = 0.0
        try:
            method = self._admitted(name, budget if billed else None, in_batch=in_batch)
            pretended = self.switches.operating_seconds.get(name, 0.0)
            if method.writes:
                self._maybe_die(name, params)
            self.stats.writes += method.writes
            outcome: Answer | RestError = self._as_told(
                name, method.run(Call(self.state, self.switches, self.user, params))
            )
            if method.writes:
                self._note_write(name, params)
        except RestError as error:
            outcome = error
        seconds = pretended + self.clock.monotonic() - started
        if billed and self.bucket.plan is not None:
            self.operating.bill(budget, seconds, self.clock.time())
        return outcome, self._time(at, seconds, budget)

    def _as_told(self, name: str, answer: Answer) -> Answer:
        """The answer of a method as the caller gets it: a page of a list may be a wrong one."""
        if wrong_rows.is_list(name):
            for kind, share in self.faults.wrong_rows.items():
                if share > 0 and self._random.random() < share:
                    self.stats.faults[f"wrong_rows.{kind}"] += 1
                    answer = wrong_rows.changed(kind, answer, self._random)
        return answer

    def _maybe_die(self, name: str, params: Any) -> None:
        if _owner(name, params)[1] in self.faults.fatal_owners:
            self.stats.faults["fatal_owners"] += 1
            raise FatalError

    def _note_write(self, name: str, params: Any) -> None:
        kind, owner_id = _owner(name, params)
        if kind:
            links = tuple(
                (link.contact_id, link.sort, link.primary) for link in self.state.links(kind, owner_id)
            )
            self.writes.append(Write(name, owner_id, links))

    def _admitted(self, name: str, budget: Budget | None, *, in_batch: bool) -> Method:
        method = METHODS.get(name)
        if method is None or name in self.switches.missing_methods:
            raise RestError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
        if method.scope and method.scope not in self.switches.scope:
            text = "The request requires higher privileges than provided by the webhook token"
            raise self._auth_error("insufficient_scope", "" if in_batch else text)
        if budget is not None:
            self._check_operating(budget)
        if in_batch:
            self._maybe_fail(name)
        return method

    def _maybe_fail(self, name: str) -> None:
        listed, error = self.faults.only_methods, self.faults.command_error
        if (listed is None or name in listed) and self.strikes("command"):
            raise RestError(error["error"], error["error_description"])

    def _check_operating(self, budget: Budget) -> None:
        if self.bucket.plan is None:
            return
        now = self.clock.time()
        if self.operating.used(budget, now) > self.switches.operating_limit:
            text = "Method is blocked due to operation time limit."
            rest = self.switches.rest_seconds
            reset_at = int(now + rest) if rest else self.operating.reset_at(budget, now)
            time = {"operating_reset_at": reset_at} if self.switches.refusal_tells_reset else None
            raise RestError("OPERATION_TIME_LIMIT", text, 429, time=time)

    def _run_batch(self, params: Any, credential: str) -> Reply:
        started, at = self.clock.monotonic(), self.clock.time()
        on_envelope = self.switches.batch_billing == "envelope"
        budget = Budget(credential, "batch")
        if on_envelope:
            self._check_operating(budget)
        inner = 0.0

        def run_command(name: str, sent: Any) -> tuple[Answer | RestError, dict[str, Any]]:
            nonlocal inner
            outcome, time = self._run(name, sent, _BATCH_CREDENTIAL, billed=not on_envelope)
            inner += time["duration"]
            return outcome, time

        maps = batch.run(params, run_command, self.switches.max_input_vars)
        seconds = max(inner, self.clock.monotonic() - started)
        if on_envelope and self.bucket.plan is not None:
            self.operating.bill(budget, seconds * _ENVELOPE_SHARE, self.clock.time())
        return Reply(200, {"result": maps.as_result(), "time": self._time(at, seconds, budget)})

    def _time(self, started: float, seconds: float, budget: Budget) -> dict[str, Any]:
        whole = self.switches.time_as_int
        finished = started + seconds
        shown: dict[str, Any] = {
            "start": int(started) if whole else round(started, 6),
            "finish": round(finished, 6),
            "duration": round(seconds, 6),
            "processing": int(seconds) if whole else round(seconds, 6),
            "date_start": format_datetime(int(started)),
            "date_finish": format_datetime(int(finished)),
        }
        if self.bucket.plan is not None:
            now = self.clock.time()
            shown["operating_reset_at"] = self.operating.reset_at(budget, now)
            shown["operating"] = self.operating.used(budget, now)
        return shown
