"""What a REST method is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import php

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.settings import Switches
    from airflow_bitrix.sandbox.state import State


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with the paging that lists carry beside it."""

    result: Any
    total: int | None = None
    next: int | None = None


def first_set(params: Any, *names: str) -> Any:
    """The first of the parameters that is there and not null."""
    return next((found for name in names if (found := php.item(params, name)) is not None), None)


def record_id(params: Any) -> int:
    """The id that the older methods go by: an array is 1, and so is true."""
    return php.to_int(first_set(params, "ID", "id"))


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method: its parameters, who calls, and the portal's data."""

    state: State
    switches: Switches
    user: int
    params: Any

    def param(self, *names: str) -> Any:
        """The first of the names that is set."""
        return first_set(self.params, *names)

    @property
    def record_id(self) -> int:
        """The id parameter: ``ID`` before ``id``, no other spelling, cast and not checked."""
        return record_id(self.params)

    def may_read(self, kind: Kind, record_id: int) -> bool:
        """Whether the caller may read a record. Only an administrator may read a missing one."""
        if kind == "contact" and record_id in self.switches.refuse_contacts_read:
            return False
        return not self.switches.limited_user or self._is_own(kind, record_id)

    def may_update(self, kind: Kind, record_id: int) -> bool:
        """Whether the caller may read and change a record."""
        if not self.may_read(kind, record_id) or not self.may_add:
            return False
        return self.switches.user_updates == "all" or self._is_own(kind, record_id)

    @property
    def may_add(self) -> bool:
        """Whether the caller may make records, which are their own."""
        return self.switches.user_updates != "none"

    def _is_own(self, kind: Kind, record_id: int) -> bool:
        row = self.state.row(kind, record_id)
        return row is not None and row.get("ASSIGNED_BY_ID") == self.user


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Method:
    """A REST method: what runs it, the scope it needs, and whether it changes anything in the CRM."""

    run: Handler
    scope: str = "crm"
    writes: bool = False
