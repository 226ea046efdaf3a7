"""Comments on the cards of what was changed: one for each, once, in batches of their own.

A comment is due when its change is told to be applied, and is sent with 49 others. A request that writes is
full as it is, so comments in it would leave room for fewer changes: they cost the same number of requests
there, and what they meet would meet the changes beside them. Here it does not.

A comment is no state that could be written twice: what was sent and got no answer may be there. So each is
announced in the journal before it leaves, and where nothing was heard of it, by this run or by one that was
killed, the card's own comments are read first, after a while in which it may still arrive.

Whatever becomes of a comment, its change stands. What the portal refuses is told and never sent again; what
it puts off is waited for like any other call; what it cannot take now is left to the next try.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from airflow_bitrix.client.batch import MOST_COMMANDS, CommandOutcome, is_rest
from airflow_bitrix.client.flow import wait_async
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.stopping import ToldToStopError
from airflow_bitrix.core.errors import Bitrix24Error, OutcomeUnknown, RetryLater
from airflow_bitrix.core.kind_words import named
from airflow_bitrix.core.languages import gettext, ngettext
from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.crm.timeline import bears, comment_call, look_call
from airflow_bitrix.engine.apply_interfaces import CommentJournal, Gate

MOST_DUE = 5000
"""Comments that are held while the portal lets their method rest; those beyond are left to the next try.

Those of one stretch of changes fit in beside what does not yet fill a request.
"""

LOOKS = 3
"""How often comments that nothing was heard of are looked for."""

log = logging.getLogger(__name__)


class _Comment(NamedTuple):
    """A comment that is due; it was announced at ``since``, unix time, where it may be there already."""

    owner: Owner
    text: str
    since: float = 0.0


class Comments:
    """The comments of a run.

    :param portal: The portal.
    :param journal: Takes what is about to be sent, and what came of it.
    :param text: Gives the comment on a change that was applied, with the mark in it.
    :param mark: What a comment of this plan is known by.
    :param gate: Asked before each request, as before each that writes.
    """

    def __init__(
        self,
        portal: AsyncPortal,
        journal: CommentJournal,
        text: Callable[[Change, ChangeOutcome], str],
        mark: str,
        gate: Gate,
    ) -> None:
        self._portal = portal
        self._journal = journal
        self._text = text
        self._mark = mark
        self._gate = gate
        self._due: deque[_Comment] = deque()
        self._unsure: list[_Comment] = []
        self._left = 0
        """Comments that are due and not held."""
        self._later: Bitrix24Error | None = None
        """Why no more are sent now."""

    def wants(self, outcome: ChangeOutcome) -> bool:
        """Whether a comment on a change is due that has come to this, now or in an earlier run."""
        return outcome.outcome == "applied" and not self._journal.is_commented(outcome.owner.id)

    def take(self, change: Change, outcome: ChangeOutcome) -> None:
        """Take what has become of a change; it is told once."""
        if not self.wants(outcome):
            return
        if len(self._due) >= MOST_DUE:
            self._left += 1
            return
        owner = change.owner
        since = self._journal.announced.get(owner.id)
        comment = _Comment(owner, self._text(change, outcome))
        if since is None:
            self._due.append(comment)
        else:
            self._unsure.append(comment._replace(since=since))

    async def send(self) -> None:
        """Send those that fill a request."""
        while len(self._due) >= MOST_COMMANDS and self._may_go_on():
            await self._send_some()

    async def finish(self) -> None:
        """Send what is left, and look for those that nothing was heard of.

        :raises RetryLater: Some are left, and the portal lets the method rest for long, or nothing is to be
            written until then; ``until`` is set.
        """
        for _ in range(LOOKS):
            while self._due and self._may_go_on():
                await self._send_some()
            if not self._unsure or not self._may_go_on():
                break
            await self._look()
        while self._due and self._may_go_on():
            await self._send_some()
        if not (open_ones := len(self._due) + len(self._unsure) + self._left):
            return
        for why in (self._later, self._gate()):
            if isinstance(why, ToldToStopError) or (isinstance(why, RetryLater) and is_rest(why)):
                raise why
        said = ngettext(
            "{count} comment not made, or not seen: {why}. A next try of this task makes up for it.",
            "{count} comments not made, or not seen: {why}. A next try of this task makes up for it.",
            open_ones,
            why=self._later or gettext("nothing was heard of them"),
        )
        log.warning("%s", said)

    def _may_go_on(self) -> bool:
        later = self._later
        if isinstance(later, RetryLater) and later.until is not None and later.until <= time.time():
            self._later = None
        return self._later is None and not isinstance(self._gate(), (RetryLater, ToldToStopError))

    async def _send_some(self) -> None:
        some = [self._due.popleft() for _ in range(min(len(self._due), MOST_COMMANDS))]
        leaves = self._journal.commenting([one.owner.id for one in some])
        calls = [comment_call(one.owner, one.text) for one in some]
        try:
            told = await self._portal.run_batch(calls, leaves=leaves)
        except Bitrix24Error as error:  # the portal took none of them
            self._put_off(some, error)
        else:
            self._take_told(some, told)

    def _take_told(self, some: Sequence[_Comment], told: Sequence[CommandOutcome]) -> None:
        made, refused, why = [], [], ""
        for one, outcome in zip(some, told, strict=True):
            error = outcome.error
            if error is None:
                made.append(one.owner.id)
            elif isinstance(error, OutcomeUnknown):
                self._unsure.append(one._replace(since=time.time()))
            elif isinstance(error, RetryLater):
                self._put_off([one], error)
            else:
                refused.append(one.owner.id)
                why = why or f"{named(one.owner)}: {error.answer}"
        if made or refused:
            self._journal.commented(made, refused, why)

    def _put_off(self, some: Iterable[_Comment], why: Bitrix24Error) -> None:
        self._due.extend(some)
        self._later = self._later or why

    async def _look(self) -> None:
        """Look for those that nothing was heard of, when they can no longer be on their way."""
        manners, unsure = self._portal.manners, self._unsure
        self._unsure = []
        ends = max(one.since for one in unsure) + manners.retries.longest
        if (seconds := min(ends - time.time(), manners.retries.longest)) > 0:
            await wait_async(seconds, manners)
        for at in range(0, len(unsure), MOST_COMMANDS):
            some = unsure[at : at + MOST_COMMANDS]
            try:
                told = await self._portal.run_batch([look_call(one.owner) for one in some])
            except Bitrix24Error as error:
                self._later = self._later or error
                self._unsure += unsure[at:]
                return
            found = [bears(outcome, self._mark) for outcome in told]
            if made := [one.owner.id for one, is_there in zip(some, found, strict=True) if is_there]:
                self._journal.commented(made, [], "")
            self._due.extend(one for one, is_there in zip(some, found, strict=True) if is_there is False)
            self._unsure += [one for one, is_there in zip(some, found, strict=True) if is_there is None]
