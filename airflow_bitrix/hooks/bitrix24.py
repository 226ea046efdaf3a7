"""Hooks for Bitrix24: a connection of type ``bitrix24`` becomes a client that keeps to the limits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import requests
from airflow.providers.http.hooks.http import HttpHook
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.allowance import Allowance, Turn
from airflow_bitrix.client.bodies import ENCODINGS
from airflow_bitrix.client.deadlines import own_connections
from airflow_bitrix.client.flow import COSTS, MOST_RENEWALS, Clock, Manners
from airflow_bitrix.client.logins import Renewed
from airflow_bitrix.client.pacing import OperatingTime, Retries
from airflow_bitrix.client.portal import Outcomes, Portal
from airflow_bitrix.client.stopping import Stop
from airflow_bitrix.client.transport import (
    LoginAuth,
    no_login,
    requests_transport,
    send_once,
)
from airflow_bitrix.client.wire import Call, Fault, Lost, Reply, error_of, read
from airflow_bitrix.compat import connection_form
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import Owner, OwnerKind
from airflow_bitrix.core.method_results import (
    CompanyItemsGet,
    CompanyLinkItem,
    Fields,
    ItemsGet,
    LinkField,
    LinkItem,
    Writing,
)
from airflow_bitrix.core.raw_calls import check_raw_call
from airflow_bitrix.crm.contacts import owners_params
from airflow_bitrix.hooks.bitrix24_async import Bitrix24AsyncHook
from airflow_bitrix.hooks.connection import (
    CONN_TYPE,
    ReadsConnections,
    allowance_of,
    connection_settings,
    in_words_of_the_form,
    patience,
    who_is_connected,
)
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.hooks.folders import pacing_folder
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID
from airflow_bitrix.hooks.settings import Settings

__all__ = ["DEFAULT_CONN_ID", "Bitrix24AsyncHook", "Bitrix24Hook", "pacing_folder"]


@connection_form
class Bitrix24Hook(ReadsConnections, HttpHook):
    """Call REST methods of a Bitrix24 portal, at the pace that the portal admits.

    The stock operators of the HTTP provider work with a ``bitrix24`` connection too, except deferred. They
    follow no redirect, whatever their options say: where it leads, the webhook is not to be known.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param method: HTTP method of :meth:`run`, for the stock operators; calls of ours always post.
    :param http: Further arguments of ``HttpHook``. ``auth_type`` has no meaning here. Where an ``adapter`` of
        your own waits for a piece of an answer, the deadline of the connection is looked at only behind it;
        and it knows the whole address, with the secret.
    """

    conn_name_attr = "bitrix24_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Bitrix24"

    def __init__(self, bitrix24_conn_id: str = DEFAULT_CONN_ID, method: str = "POST", **http: Any) -> None:
        super().__init__(method=method, http_conn_id=bitrix24_conn_id, **http)
        self.bitrix24_conn_id = bitrix24_conn_id
        self.retries = Retries()
        self.patience = patience()
        self.clock = Clock()
        self.stop = Stop()
        self._operating = OperatingTime()

    # -- what the HTTP provider's hook asks of a subclass --------------------------------------------------

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Give a session that adds the webhook's secret to each request, seen by the socket alone."""
        # Options that are not empty make the parent call _configure_session_from_extra in every case.
        session = super().get_conn(headers, {"allow_redirects": False, **(extra_options or {})})
        if self.adapter is None:  # an author's own is left as it is
            for adapter in session.adapters.values():
                if isinstance(adapter, HTTPAdapter):
                    # As many connections are kept as requests may be under way, in place of ten.
                    own_connections(
                        adapter, self.settings.login, self.settings.in_flight, self.settings.proxy
                    )
        return session

    @cached_property
    def settings(self) -> Settings:
        """What the connection says; read once, its secrets masked in all logs from then on.

        :raises InvalidInput: There is no such connection, or a field of it cannot be right. Airflow does not
            retry it.
        """
        return connection_settings(self, self.bitrix24_conn_id)

    @cached_property
    def _allowance(self) -> Allowance:
        return allowance_of(self.settings, self._operating)

    def _set_base_url(self, connection: Any) -> None:  # noqa: ARG002 (the parent's signature)
        # The portal's plain address, without the secret: the parent prints what it finds here.
        self.base_url = self.settings.portal
        self._base_url_initialized = True

    def _extract_auth(self, connection: Any) -> Any:  # noqa: ARG002 (the parent's signature)
        # An author's own adapter has connections of its own, and gets the whole address.
        return LoginAuth(self.settings.login) if self.adapter else no_login

    def _configure_session_from_extra(
        self, session: requests.Session, connection: Any, extra_options: dict[str, Any]
    ) -> requests.Session:
        # The parent would send extras that it does not know as headers: ours stay out of its sight.
        del connection
        settings = self.settings
        self.merged_extra = {"timeout": settings.timeout, **extra_options}
        session.verify = settings.verify
        session.trust_env = False
        session.headers["Accept-Encoding"] = ENCODINGS
        if settings.proxy:
            session.proxies = {"http": settings.proxy, "https": settings.proxy}
        return session

    def run_and_check(
        self,
        session: requests.Session,
        prepped_request: requests.PreparedRequest,
        extra_options: dict[Any, Any],
    ) -> requests.Response:
        """Send a request of the stock operators: paced, and without the address in any log or error."""
        renewals, renewed = 0.0, Renewed.GOT
        while renewed:
            found, response, renewed = self._send(
                session, prepped_request, extra_options, may_renew=renewals < MOST_RENEWALS
            )
            renewals += COSTS[renewed]
        if isinstance(found, Lost):
            self._raise_for(prepped_request, read(found))
        if extra_options.get("check_response", True):
            self.check_response(response)
        return response

    def _send(
        self,
        session: requests.Session,
        prepared: requests.PreparedRequest,
        extra_options: Mapping[Any, Any],
        *,
        may_renew: bool,
    ) -> tuple[Reply | Lost, requests.Response, Renewed]:
        """Send a request once; tell what came, and whether there are newer tokens since."""
        turn = Turn()
        while seconds := self._allowance.ask(turn):
            time.sleep(seconds)
        settings = self.settings
        renewal = settings.login.renewal
        mark = renewal.mark() if renewal else 0
        timeout = extra_options.get("timeout") or settings.timeout
        found, response = send_once(session, prepared, timeout, settings.deadline, settings.largest_answer)
        fault = read(found)
        if not may_renew or renewal is None or not isinstance(fault, Fault) or not fault.wants_tokens:
            return found, response, Renewed.NOT
        with final_failures():
            return found, response, renewal.renew(mark, expired=fault.expired)

    def check_response(self, response: requests.Response) -> None:
        """Raise what the portal says, also where it says so with HTTP status 200.

        :raises Bitrix24Error: The portal refused or failed.
        """
        reply = Reply(response.status_code, response.content, response.headers.get("Location", ""))
        self._raise_for(response.request, read(reply))

    def _raise_for(self, request: requests.PreparedRequest, found: object) -> None:
        if isinstance(found, Fault):
            method = self.settings.login.method_of(str(request.url))
            with final_failures():
                raise error_of(Call(method or "rest"), found)

    # -- what DAG authors call -----------------------------------------------------------------------------

    @cached_property
    def portal(self) -> Portal:
        """The client of the connection's portal, with one session for all its calls."""
        settings = self.settings
        session = self.get_conn()
        send = requests_transport(
            session, settings.portal, settings.timeout, settings.deadline, settings.largest_answer
        )
        manners = Manners(
            self._allowance,
            self.retries,
            patience=self.patience,
            operating=self._operating,
            clock=self.clock,
            stop=self.stop,
            renewal=settings.login.renewal,
        )
        return Portal(send, manners, settings.in_flight, check=check_raw_call)

    @overload
    def call(self, method: ItemsGet, params: Mapping[str, Any] | None = None) -> Sequence[LinkItem]: ...

    @overload
    def call(
        self, method: CompanyItemsGet, params: Mapping[str, Any] | None = None
    ) -> Sequence[CompanyLinkItem]: ...

    @overload
    def call(self, method: Fields, params: Mapping[str, Any] | None = None) -> dict[str, LinkField]: ...

    @overload
    def call(self, method: Writing, params: Mapping[str, Any] | None = None) -> bool: ...

    @overload
    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any: ...

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its ``result``.

        :param method: For example ``crm.lead.contact.items.get``.
        :param params: Its parameters, JSON-serialisable.
        :raises InvalidInput: A call about contact links that the portal would read as another one, see
            :func:`~airflow_bitrix.core.raw_calls.check_raw_call`; nothing was sent.
        :raises Rejected: The portal refused; Airflow does not retry it. Likewise ``AuthFailed``.
        :raises RetryLater: The portal is busy or unreachable, and repeats did not help; or it lets the
            method rest for longer than is waited for, and then ``until`` tells until when.
        :raises OutcomeUnknown: A creating call was sent and no answer came.
        """
        with final_failures():
            return self.portal.call(method, params)

    def batch(self, calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> Outcomes:
        """Run any number of calls, 50 a request, and give one outcome for each, in the same order.

        :param calls: ``(method, params)`` pairs.
        :return: Outcomes with ``ok``, ``result`` and ``error``; a failed command does not hide the others.
        :raises InvalidInput: Parameters that a batch cannot express, or a call about contact links as in
            :meth:`call`, before anything is sent.
        """
        with final_failures():
            return self.portal.batch(calls)

    def list(self, method: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Give every row of a list method; where its rows can be read by id, in that order, 2,500 a request.

        Another order costs a request for each 50 rows, and by offset rows may be missed or come twice.

        :param method: For example ``crm.lead.list``.
        :param params: ``filter``, ``select``, ``order`` and the like; ``start`` is not accepted.
        :raises InvalidInput: A field in filter or order that the portal would silently ignore.
        """
        with final_failures():
            yield from self.portal.list(method, params)

    def owners_of_contact(self, contact_id: int | str, kind: OwnerKind | None = None) -> Iterator[Owner]:
        """Give the owners that a contact is linked to, primary or not, kind by kind in order of id.

        :param contact_id: Id of the contact.
        :param kind: A kind of owners, such as ``lead`` or ``dynamic_1036``; ``None`` for those that every
            portal has: leads, deals, quotes, companies and invoices.
        :raises InvalidInput: No id, or no kind of owners.
        """
        with final_failures():
            asked = owners_params(contact_id, kind)
        return (
            Owner(one, int(row["id"])) for one, params in asked for row in self.list("crm.item.list", params)
        )

    def test_connection(self) -> tuple[bool, str]:
        """Call ``profile`` and ``scope``, and say who is connected or what is wrong, without the address."""
        self.retries = Retries(times=0)
        try:
            profile, scope = self.call("profile"), self.call("scope")
        except Bitrix24Error as error:
            return False, in_words_of_the_form(error, self.bitrix24_conn_id)
        return who_is_connected(self.settings.portal, profile, scope)
