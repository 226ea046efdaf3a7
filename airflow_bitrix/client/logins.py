"""What a client has to know of how it gets into a portal: by a webhook, or as an application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol


class Renewed(IntEnum):
    """What came of looking for newer tokens: none, those that somebody else got, or some made just now."""

    NOT = 0
    TAKEN = 1
    GOT = 2


class Renewal(Protocol):
    """Gets newer tokens, where a login has some that expire."""

    def mark(self) -> int:
        """Give a number for the tokens that are used from now on; newer ones have a higher one."""

    def renew(self, mark: int, *, expired: bool) -> Renewed:
        """Have newer tokens than those of a mark, and tell whether there are any, and whose.

        It may wait for the network, for other processes and for Airflow.

        :param expired: Whether the portal called them expired; else they are looked for, and not asked for.
        :raises Bitrix24Error: There are none to be had.
        """

    async def renew_async(self, mark: int, *, expired: bool) -> Renewed:
        """Do the same without stopping the event loop."""


class Login(Protocol):
    """A way into a portal."""

    @property
    def portal(self) -> str:
        """The portal's address, ``https://acme.bitrix24.com``, without a closing slash."""

    @property
    def identity(self) -> str:
        """A text that no other login has; it may hold a secret."""

    @property
    def renewal(self) -> Renewal | None:
        """What gets newer tokens, where there are any."""

    def with_secret(self, address: str) -> str:
        """Give the address that a request to ``https://portal/method`` goes to; another's stays as it is."""

    def headers_for(self, address: str) -> Mapping[str, str]:
        """Give the headers that a request to this address is to have beside others; none at another's."""

    def method_of(self, address: str) -> str:
        """Give the method of an address of the portal, empty for none."""

    def secrets(self) -> Sequence[str]:
        """Give what must not be seen."""


def belongs_to(portal: str, address: str) -> bool:
    """Whether an address is one of the portal's."""
    rest = address.removeprefix(portal)
    return rest != address and rest[:1] in ("", "/", "?")
