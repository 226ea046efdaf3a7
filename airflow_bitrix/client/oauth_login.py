"""The tokens of an application, got anew once for all workers of all hosts, and kept in one place.

A refresh token can be used once: the OAuth server is who decides a race. So the new pair is stored before it
is used, and whoever comes second takes it from there. A claim and a note keep the many from asking in vain; a
note without new tokens tells that who wrote it may have died with them.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, TypeVar

from airflow_bitrix.client.flow import Clock
from airflow_bitrix.client.kept_tokens import Note, Part, made_at, note_of, read_kept, read_note, text_of
from airflow_bitrix.client.logins import Renewed
from airflow_bitrix.client.oauth import (
    Application,
    Pair,
    Refusal,
    bearer,
    for_connection,
    log_in_again,
    refused,
)
from airflow_bitrix.client.oauth_server import SECONDS, OAuthServer
from airflow_bitrix.core.errors import AuthFailed, InvalidInput, PortalAnswer, RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.redaction import keep_secret

log = logging.getLogger(__name__)
T = TypeVar("T")

TRIES = 3
"""How often an OAuth server is asked that does not answer, or answers that it cannot."""

WINNER = 20.0
"""Seconds for which the pair of whoever was quicker is waited for: an OAuth server is, for 15."""

UNKNOWN = 5.0
"""The same where nobody has noted to be about to use the refresh token."""

_SPARE_SECONDS = 60 * 86_400.0
"""After this time a spare refresh token is exchanged, too; it lives for 180 days."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


class Store(Protocol):
    """Where the pair of a connection is kept for all workers, and a note of who asks for the next one."""

    @property
    def place(self) -> str:
        """What tells whom a claim keeps out: who has it knows that nobody else of this place asks."""

    @property
    def settling(self) -> float:
        """Seconds in which those of other places write notes over this one; 0 where there are no others."""

    def read(self, part: Part = "pair") -> str:
        """Give what was written last, empty for nothing.

        :raises RetryLater: The place is away.
        """

    def write(self, text: str, part: Part = "pair") -> None:
        """Keep a text; every worker reads it from the moment on at which this returns.

        :raises RetryLater: The place is away.
        """

    def claim(self) -> AbstractContextManager[object]:
        """Keep others, as far as they can be known, from asking the OAuth server meanwhile.

        It waits for whoever has the claim, and ends by itself where that one is killed.
        """


class OAuthLogin:
    """A login with tokens that are renewed.

    :param application: What the connection says.
    :param store: Where the tokens are kept.
    :param server: Gives the OAuth server at an address.
    :param conn_id: The connection's id, for errors.
    :param hide: Told of each new secret.
    :param aside: Runs blocking work without stopping the event loop.
    :param winner: Seconds for which the pair of whoever was quicker is waited for.
    :raises AuthFailed: Nobody has logged in yet.
    :raises RetryLater: The store is away.
    """

    def __init__(
        self,
        application: Application,
        store: Store,
        server: Callable[[str], OAuthServer],
        conn_id: str,
        *,
        hide: Callable[[str], object] = keep_secret,
        aside: Callable[..., Awaitable[Any]] = asyncio.to_thread,
        clock: Clock | None = None,
        winner: float = WINNER,
    ) -> None:
        self._application, self._store, self._server = application, store, server
        self._conn_id, self._hide, self._aside = conn_id, hide, aside
        self._clock, self._patience = clock or Clock(), winner
        self._lock = threading.Lock()
        self._number = 0
        self._pair = self._first()
        self._keep()

    def __repr__(self) -> str:
        """Keep tokens out of reprs."""
        return f"OAuthLogin({self._application!r})"

    # -- a login ---------------------------------------------------------------------------------------------

    @property
    def portal(self) -> str:
        """The portal's address."""
        return self._application.portal

    @property
    def identity(self) -> str:
        """A text that no other login has."""
        return self._application.identity

    @property
    def renewal(self) -> OAuthLogin:
        """What gets newer tokens."""
        return self

    def with_secret(self, address: str) -> str:
        """Give the address of a method."""
        return self._application.with_secret(address)

    def headers_for(self, address: str) -> Mapping[str, str]:
        """Give the header with the token."""
        return bearer(self._application, self._pair, address)

    def method_of(self, address: str) -> str:
        """Give the method of an address of the portal, empty for none."""
        return self._application.method_of(address)

    def secrets(self) -> tuple[str, ...]:
        """Give the application's secret, and the tokens."""
        return (*self._application.secrets(), self._pair.access, self._pair.refresh)

    # -- a renewal -------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """Give a number for the pair that is used from now on."""
        return self._number

    async def renew_async(self, mark: int, *, expired: bool) -> Renewed:
        """Do as :meth:`renew` does, aside."""
        renewed: Renewed = await self._aside(lambda: self.renew(mark, expired=expired))
        return renewed

    def renew(self, mark: int, *, expired: bool) -> Renewed:
        """Have a newer pair than that of a mark.

        :raises AuthFailed: A person has to do something: log in again, or look at the application.
        :raises RetryLater: The OAuth server or the store is away.
        """
        with self._lock:
            # Read before the tokens: then a note about these is there for who finds no newer ones.
            note = self._note()
            if self._number > mark or self._take_newest():
                return Renewed.TAKEN
            if not expired and note is None:
                # Nobody is about to store the next pair, as far as is known.
                return Renewed.TAKEN if self._winner(UNKNOWN) else Renewed.NOT
            # Expired; or somebody is about to store the next pair, or died before that.
            return self._refresh()

    def _refresh(self) -> Renewed:
        before, found = None, Refusal(PortalAnswer())
        for tried in range(TRIES):
            if tried:
                self._clock.sleep(2.0**tried)
            with self._store.claim():
                before = self._note()
                answer = self._one_turn(before)
            if isinstance(answer, Renewed):
                return answer
            found = answer
            if not found.passing:
                break
        raise refused(found, self._address(), self._conn_id, before.lost() if before else "")

    def _one_turn(self, before: Note | None) -> Refusal | Renewed:
        """Have the next pair, whoever gets it; or give why there is none.

        :param before: The note of who has used the refresh token, and not stored what came of it.
        """
        store = self._store
        # Whoever wrote it elsewhere may be asking now. Here nobody is: this process has the claim.
        is_elsewhere = before is not None and before.place != store.place
        if self._take_newest() or (is_elsewhere and self._winner()):
            return Renewed.TAKEN
        note = note_of(self._pair, before, store.place, platform.node(), self._clock.now())
        self._write(note.text(), "note")
        if store.settling:
            self._clock.sleep(store.settling)
            if self._take_newest():
                return Renewed.TAKEN
            if self._note() != note:
                return Renewed.TAKEN if self._winner() else _somebody_else()
        found = _undisturbed(lambda: self._ask_and_store(self._pair, note=note))
        # While this process waits it keeps the claim: whoever else would ask now would hear the same.
        if isinstance(found, Refusal) and found.used_up:
            if self._winner():
                return Renewed.TAKEN
            found = self._by_spare() or found
        if isinstance(found, Pair):
            self._take(found)
            self._renew_spare()
            return Renewed.GOT
        if before is None and not found.passing:
            self._write("", "note")  # the server has said what came of it: nothing
        return found

    def _note(self) -> Note | None:
        """Give the note of who uses the refresh token of this pair, or has used it."""
        return read_note(self._store.read("note"), self._pair)

    def _ask_and_store(self, used: Pair, part: Part = "pair", note: Note | None = None) -> Pair | Refusal:
        """Exchange the refresh token of a pair for the next one, and store that.

        :param note: The one that was written before.
        """
        server = self._server(self._address())
        self._hide(used.refresh)
        found = server.refresh(self._application, used.refresh)
        if isinstance(found, Pair):
            for secret in (found.access, found.refresh):
                self._hide(secret)
            if note and self._is_overtaken(note):
                return self._pair
            # From here to the end of the next line the new pair is nowhere but in this process.
            self._write(text_of(found, self._clock.now(), platform.node()), part)
            log.info("%s", gettext("{address} gave new tokens, and they are stored.", address=server.address))
        return found

    def _is_overtaken(self, note: Note) -> bool:
        """Whether somebody has asked after this process, and got tokens; they are used then.

        A claim ends by itself, whatever its owner does. Where a server takes a refresh token again, what it
        gave first is no good any more, and must not be stored over what it gave last.
        """
        try:
            return self._note() != note and self._winner(SECONDS)
        except RetryLater:
            return False

    def _by_spare(self) -> Pair | None:
        """Go on with the tokens of a second login, where those of the first were lost."""
        spare = read_kept(self._store.read("spare"))
        if spare is None:
            return None
        found = _undisturbed(lambda: self._ask_and_store(spare))
        if not isinstance(found, Pair):
            return None
        self._write("", "spare")
        again = log_in_again(self._conn_id)
        log.warning(
            "%s",
            gettext(
                "Tokens were lost, and those of the spare login are used from now on. For another: {again}",
                again=again,
            ),
        )
        return found

    def _renew_spare(self) -> None:
        """Keep the spare tokens from expiring; they are used for nothing else as long as all is well."""
        with suppress(RetryLater):  # what was asked for is there
            text = self._store.read("spare")
            spare = read_kept(text)
            if spare is None or made_at(text) > self._clock.now() - _SPARE_SECONDS:
                return
            found = _undisturbed(lambda: self._ask_and_store(spare, "spare"))
            if isinstance(found, Refusal) and found.used_up:
                self._write("", "spare")

    def _write(self, text: str, part: Part) -> None:
        """Store a pair, or a note; a store that is busy for a moment must not lose it.

        :raises RetryLater: The store stays away.
        """
        for tried in range(TRIES):
            if tried:
                self._clock.sleep(2.0**tried)
            try:
                return self._store.write(text, part)
            except RetryLater:
                if tried == TRIES - 1:
                    raise
        return None

    def _winner(self, most: float = WINNER) -> bool:
        """Wait for the pair of whoever has used the refresh token, and take it; tell whether it came."""
        ends, pause = time.monotonic() + min(most, self._patience), _FIRST_PAUSE
        while not self._take_newest():
            if time.monotonic() > ends:
                return False
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return True

    def _first(self) -> Pair:
        """Give the pair to begin with: what is kept, else what the connection has."""
        found = read_kept(self._store.read()) or self._application.pair
        if found is None:
            again = log_in_again(self._conn_id)
            raise AuthFailed(
                gettext(
                    "nobody has logged in{for_connection} yet; {again}",
                    for_connection=for_connection(self._conn_id),
                    again=again,
                )
            )
        return found

    def _take_newest(self) -> bool:
        """Use what is kept, and tell whether it is newer than what is used."""
        kept = read_kept(self._store.read())
        # Where it was lost, what this process has is the newest.
        return kept is not None and self._take(kept)

    def _take(self, pair: Pair) -> bool:
        """Use a pair from now on, and tell whether it is another one."""
        if pair == self._pair:
            return False
        self._pair = pair
        self._keep()
        self._number += 1
        return True

    def _keep(self) -> None:
        for secret in self.secrets():
            self._hide(secret)

    def _address(self) -> str:
        address = self._application.server or self._pair.server
        if not address:
            accepted = gettext(
                "the OAuth server that the portal names at a login, such as https://oauth.bitrix.info/rest/"
            )
            raise InvalidInput("extra.server_endpoint", "", accepted)
        return address


def _undisturbed(work: Callable[[], T]) -> T:
    """Do work to its end, also where a signal interrupts who waits for it.

    Airflow tells a task to end by one, and its handler raises where the main thread is.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="bitrix24-oauth") as thread:
        return thread.submit(work).result()


def _somebody_else() -> Refusal:
    said = gettext("a worker elsewhere asks for them, and has got none yet")
    return Refusal(PortalAnswer(text=said), passing=True)
