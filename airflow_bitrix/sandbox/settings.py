"""What a test may turn: the portal's switches and its faults. Values, checked when they are set."""

from __future__ import annotations

import ast
import inspect
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_bitrix.sandbox import wrong_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]


class SettingError(ValueError):
    """A switch or fault that does not exist, or a value that it does not take."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Behaviour that differs between portals, users and documentation."""

    auth_status: str = "docs"
    """HTTP statuses of authorisation errors: as documented (403) or as in the portal's source (401)."""
    missing_owner_items_get: str = "empty"
    """What items.get and items.delete do for an owner that does not exist: nothing, or ``Not found.``"""
    batch_billing: str = "inner"
    """Whose operating time a batch uses: that of the inner methods, or that of ``batch`` itself."""
    flag_at_once: bool = False
    """Older portals: link methods change IS_RETURN_CUSTOMER themselves."""
    time_as_int: bool = False
    """Newer portals: ``time.start`` and ``time.processing`` are whole numbers."""
    hide_contact_ids: bool = False
    """crm.item.list leaves ``contactIds`` out."""
    limited_user: bool = False
    """The webhook's user is no administrator and sees only the records assigned to them."""
    scope: tuple[str, ...] = ("crm", "user")
    """What the webhook may use."""
    operating_limit: float = 480.0
    """Operating time in seconds that one method may use in ten minutes."""
    operating_seconds: Mapping[str, float] = field(default_factory=dict)
    """Pretended runtime of one call, by method."""
    count_refused: bool = False
    """Requests refused with 503 fill the bucket, too."""
    not_found_code: str = ""
    """The error code beside ``Not found.``: empty as in the source, or NOT_FOUND as documented for leads."""
    refuse_contacts_read: tuple[int, ...] = ()
    """Contacts that the user may not read, whoever the user is."""
    missing_methods: tuple[str, ...] = ()
    """Methods that this portal does not have, by their names in lower case."""
    max_input_vars: int = 1000
    """How many variables PHP takes from a form or a batch command before it drops the rest."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Failures to commit, each as the share of requests (or commands) that it hits."""

    seed: int = 1
    throttle: float = 0.0
    """503 QUERY_LIMIT_EXCEEDED."""
    html: float = 0.0
    """An HTML page with the status ``html_status`` in place of an answer; nothing was done."""
    html_status: int = 502
    drop_before: float = 0.0
    """The connection is cut before the work."""
    drop_after: float = 0.0
    """The work is done, and then the connection is cut."""
    command: float = 0.0
    """A command of a batch is not run and answers ``command_error``."""
    command_error: Mapping[str, str] = field(
        default_factory=lambda: {
            "error": "INTERNAL_SERVER_ERROR",
            "error_description": "Internal server error, try again later",
        }
    )
    only_methods: tuple[str, ...] | None = None
    """The methods that ``command`` may hit; None for all."""
    wrong_rows: Mapping[str, float] = field(default_factory=dict)
    """Pages of lists with wrong rows: a share of pages, by kind. Kinds: {wrong_rows}."""
    fatal_owners: tuple[int, ...] = ()
    """Leads and deals whose write kills the script, as a faulty handler of their events does: the answer is
    an HTML page with the status 500, and what a batch did before it stays done."""
    slow: float = 0.0
    """The answer waits for ``slow_seconds`` after the work."""
    slow_seconds: float = 1.0
    late: float = 0.0
    """Seconds by which requests arrive late, on average: some much more, most hardly at all."""
    redirect: str | None = None
    """Every request is answered with a 302 to this address, as after a portal was renamed."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_list_of(kind: type) -> Check:
    return lambda value: isinstance(value, (list, tuple)) and all(type(one) is kind for one in value)


def _one_of(*accepted: str) -> tuple[Check, str]:
    return lambda value: value in accepted, " or ".join(f'"{word}"' for word in accepted)


_FLAG: tuple[Check, str] = (lambda value: isinstance(value, bool), "true or false")
_SHARE: tuple[Check, str] = (lambda value: _is_number(value) and value <= 1, "a share from 0 to 1")
_SECONDS: tuple[Check, str] = (_is_number, "a number of seconds, 0 or more")
_WORDS: tuple[Check, str] = (_is_list_of(str), "a list of strings")
_COUNT: tuple[Check, str] = (lambda value: type(value) is int and value > 0, "a whole number above 0")

_ACCEPTED: Mapping[str, tuple[Check, str]] = {
    "auth_status": _one_of("docs", "source"),
    "missing_owner_items_get": _one_of("empty", "not_found"),
    "batch_billing": _one_of("inner", "envelope"),
    "flag_at_once": _FLAG,
    "time_as_int": _FLAG,
    "hide_contact_ids": _FLAG,
    "limited_user": _FLAG,
    "scope": _WORDS,
    "operating_limit": _SECONDS,
    "operating_seconds": (
        lambda value: isinstance(value, dict) and all(_is_number(one) for one in value.values()),
        "an object of seconds by method",
    ),
    "count_refused": _FLAG,
    "not_found_code": _one_of("", "NOT_FOUND"),
    "refuse_contacts_read": (_is_list_of(int), "a list of contact ids"),
    "missing_methods": _WORDS,
    "max_input_vars": _COUNT,
    "seed": (lambda value: type(value) is int, "a whole number"),
    "throttle": _SHARE,
    "html": _SHARE,
    "html_status": (lambda value: type(value) is int and 200 <= value <= 599, "an HTTP status"),  # noqa: PLR2004
    "drop_before": _SHARE,
    "drop_after": _SHARE,
    "command": _SHARE,
    "command_error": (
        lambda value: isinstance(value, dict) and set(value) == {"error", "error_description"},
        'an object of "error" and "error_description"',
    ),
    "only_methods": (lambda value: value is None or _is_list_of(str)(value), "null or a list of methods"),
    "wrong_rows": (
        lambda value: (
            isinstance(value, dict)
            and all(name in wrong_rows.ALL and _SHARE[0](share) for name, share in value.items())
        ),
        "an object of shares from 0 to 1, by " + ", ".join(wrong_rows.ALL),
    ),
    "fatal_owners": (_is_list_of(int), "a list of ids of leads or deals"),
    "slow": _SHARE,
    "slow_seconds": _SECONDS,
    "late": _SECONDS,
    "redirect": (lambda value: value is None or isinstance(value, str), "null or an address"),
}

Settings = TypeVar("Settings", Switches, Faults)


def changed(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """The settings with the given values; :class:`SettingError` says what is wrong with one."""
    known = [one.name for one in fields(settings)]
    for name, value in given.items():
        if name not in known:
            kind = type(settings).__name__.lower()
            raise SettingError(f"There is no {name!r} among the {kind}; there are {', '.join(known)}.")
        check, accepted = _ACCEPTED[name]
        if not check(value):
            raise SettingError(f"{name} takes {accepted}, not {value!r}.")
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    return replace(settings, **plain)


def meanings(kind: type[Switches | Faults]) -> dict[str, str]:
    """What each setting of a kind does, by its name; what it takes, where that is all that is to say."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    lines = tree.body if isinstance(tree, ast.ClassDef) else []
    found = {one.name: f"Takes {_ACCEPTED[one.name][1]}." for one in fields(kind)}
    for line, next_line in pairwise(lines):
        is_told = isinstance(next_line, ast.Expr) and isinstance(next_line.value, ast.Constant)
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and is_told:
            text = ast.get_docstring(ast.Module([next_line], []))
            told = " ".join((text or "").replace("``", "").split())
            found[line.target.id] = told.replace("{wrong_rows}", ", ".join(wrong_rows.ALL))
    return found


def as_json(settings: Switches | Faults) -> dict[str, Any]:
    """The settings as a JSON object."""
    return asdict(settings)
