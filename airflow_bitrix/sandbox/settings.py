"""What a test may turn: the portal's switches and its faults. Values, checked when they are set."""

from __future__ import annotations

import ast
import inspect
import re
import reprlib
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_bitrix.sandbox import php, wrong_answers, wrong_rows
from airflow_bitrix.sandbox.errors import REFUSALS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Check = Callable[[Any], bool]


ADDRESS_ZONES = (
    *(
        "ru",
        "ua",
        "ur",
        "by",
        "kz",
        "en",
        "eu",
        "de",
        "la",
        "br",
        "fr",
        "it",
        "pl",
        "tr",
        "cn",
        "sc",
        "tc",
        "ja",
    ),
    *("vn", "id", "ms", "th", "in", "hi", "uk", "co", "mx"),
)


class SettingError(ValueError):
    """A switch or fault that does not exist, or a value that it does not take."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Behaviour that differs between portals, users and documentation."""

    auth_status: str = "docs"
    """HTTP statuses of authorisation errors: as documented (403) or as in the portal's source (401)."""
    refusal: str = ""
    """Why the portal takes no request at all, empty where it does: the webhook is ``revoked`` or blocked for
    ``overload``, there is ``no_subscription`` for REST, the ``portal_deleted``, or ``no_user`` to let in."""
    refusal_after: int = 0
    """How many requests are still taken before ``refusal`` begins, counted from when this was set."""
    missing_owner_items_get: str = "empty"
    """What items.get and items.delete do for an owner that does not exist: nothing, or ``Not found.``"""
    batch_billing: str = "inner"
    """Whose operating time a batch uses: that of the inner methods, or that of ``batch`` itself."""
    flag_at_once: bool = False
    """Older portals: link methods change IS_RETURN_CUSTOMER themselves."""
    company_takes_primary: bool = True
    """A company that writes a contact's row by its link methods becomes that contact's primary one, as in the
    source; without this only where the contact has none."""
    company_set_keeps_sorts: bool = False
    """crm.company.contact.items.set leaves sorts that are not sent as they are, as its kin is documented, and
    does not count them anew, as in the source."""
    time_as_int: bool = False
    """Newer portals: ``time.start`` and ``time.processing`` are whole numbers."""
    hide_contact_ids: bool = False
    """crm.item.list leaves ``contactIds`` out."""
    limited_user: bool = False
    """The webhook's user is no administrator and sees only the records assigned to them."""
    counts_hidden: bool = False
    """crm.item.list counts records that the webhook's user may not see in its ``total``, too."""
    user_updates: str = "all"
    """Which of the records that they may read the webhook's user may change: all, their own, or none."""
    scope: tuple[str, ...] = ("crm", "user")
    """What the webhook may use."""
    chats: tuple[int, ...] = (1,)
    """Chats that the webhook's user may write to."""
    operating_limit: float = 480.0
    """Operating time in seconds that one method may use in ten minutes."""
    operating_seconds: Mapping[str, float] = field(default_factory=dict)
    """Pretended runtime of one call, by method."""
    refusal_tells_reset: bool = False
    """A refusal for operating time tells in its own ``time`` when the method may be called again."""
    rest_seconds: float = 0.0
    """In how many seconds that is, as such a refusal tells, whatever is true; 0: it tells what is true."""
    count_refused: bool = False
    """Requests refused with 503 fill the bucket, too."""
    not_found_code: str = ""
    """The error code beside ``Not found.``: empty as in the source, or NOT_FOUND as documented for leads."""
    required_fields: tuple[str, ...] = ()
    """Fields, as crm.item.* names them, that an administrator has made required: crm.item.add and
    crm.item.update refuse to save a record in which one of them is empty, whatever they are to change."""
    refuse_contacts_read: tuple[int, ...] = ()
    """Contacts that the user may not read, whoever the user is."""
    address_zone: str = "eu"
    """Whose addresses the CRM is set to: ``ru``, ``de``, or ``eu``, ``en`` and others of no country."""
    missing_methods: tuple[str, ...] = ()
    """Methods that this portal does not have, by their names in lower case."""
    application: str = "installed"
    """What has become of the local application: it is ``installed``, ``revoked`` or ``unpaid``."""
    handler: str = ""
    """The address in the application's card, of this machine: there the browser is sent after a login.
    Without it a page of the sandbox shows where the browser has come to."""
    access_seconds: float = 3600.0
    """For how long an access token is good that is given from now on."""
    refresh_seconds: float = 180 * 86_400.0
    """For how long a refresh token is good that is given from now on, and not used."""
    reuse_seconds: float = 0.0
    """For how long a refresh token that was used gets tokens once more, in place of those that it got before.
    The vendor's documentation knows no such time."""
    clocks_apart: float = 0.0
    """Seconds by which the clock of the OAuth server is behind the portal's."""
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
    """Pages of lists with wrong rows: the share of pages, by kind. Kinds: {kinds}."""
    fatal_owners: tuple[int, ...] = ()
    """Records, of whatever kind, whose write kills the script, as a faulty handler of their events does: the
    answer is an HTML page with the status 500, and what a batch did before it stays done."""
    slow: float = 0.0
    """The answer waits for ``slow_seconds`` after the work."""
    slow_seconds: float = 1.0
    silent: float = 0.0
    """The work is done, and no answer comes; the connection stays open."""
    drip: float = 0.0
    """The work is done, and the answer comes byte by byte, one every ``drip_seconds``."""
    drip_seconds: float = 1.0
    endless: float = 0.0
    """The work is done, and the body of the answer never ends."""
    bad_chunk: float = 0.0
    """The work is done, and behind the headers of the answer stands a chunk whose size is no number."""
    telltale: float = 0.0
    """The work is done, and one header of the answer is none: it repeats the address that was asked for."""
    late: float = 0.0
    """Seconds by which requests arrive late, on average: some much more, most hardly at all."""
    wrong_answers: Mapping[str, float] = field(default_factory=dict)
    """The work is done, and what is said of it is wrong: the share of requests, by kind. Kinds: {kinds}."""
    oauth_down: float = 0.0
    """The OAuth server answers a page with the status 503; nothing was done."""
    oauth_late: float = 0.0
    """Seconds until the OAuth server works on a question; for who is gone by then, it does nothing."""
    oauth_slow: float = 0.0
    """Seconds for which the OAuth server keeps tokens back that it has made already."""
    redirect: str | None = None
    """Every request is answered with a 302 to this address, as after a portal was renamed."""


FAULTS_BY_KIND: Mapping[str, Collection[str]] = {
    "wrong_answers": wrong_answers.KINDS,
    "wrong_rows": wrong_rows.ALL,
}
"""Faults whose kinds have names, and those."""


_MOST = 10**9
_LONGEST = 200
# An address as headers carry it, and a status whose answer has a body.
_IN_A_HEADER = re.compile(r"[!-~]{1,8000}")
_OF_THIS_MACHINE = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?/[!-~]{0,1000}")
_WITHOUT_A_BODY = {204, 205, 304}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_list_of(kind: type) -> Check:
    return lambda value: isinstance(value, (list, tuple)) and all(type(one) is kind for one in value)


def _shares(kinds: Collection[str]) -> tuple[Check, str]:
    def check(value: Any) -> bool:
        named = isinstance(value, dict) and value.keys() <= set(kinds)
        return named and all(_is_number(one) and one <= 1 for one in value.values())

    return check, f"an object of shares from 0 to 1, by {', '.join(kinds)}"


def _one_of(*accepted: str) -> tuple[Check, str]:
    return lambda value: value in accepted, " or ".join(f'"{word}"' for word in accepted)


_FLAG: tuple[Check, str] = (lambda value: isinstance(value, bool), "true or false")
_SHARE: tuple[Check, str] = (lambda value: _is_number(value) and value <= 1, "a share from 0 to 1")
_SECONDS: tuple[Check, str] = (_is_number, f"a number of seconds from 0 to {_MOST:,}")
_WORDS: tuple[Check, str] = (_is_list_of(str), "a list of strings")
_COUNT: tuple[Check, str] = (lambda value: type(value) is int and value > 0, "a whole number above 0")

_ACCEPTED: Mapping[str, tuple[Check, str]] = {
    "auth_status": _one_of("docs", "source"),
    "refusal": _one_of("", *REFUSALS),
    "refusal_after": (lambda value: type(value) is int and value >= 0, "a whole number, 0 or more"),
    "missing_owner_items_get": _one_of("empty", "not_found"),
    "batch_billing": _one_of("inner", "envelope"),
    "flag_at_once": _FLAG,
    "company_takes_primary": _FLAG,
    "company_set_keeps_sorts": _FLAG,
    "time_as_int": _FLAG,
    "hide_contact_ids": _FLAG,
    "limited_user": _FLAG,
    "counts_hidden": _FLAG,
    "user_updates": _one_of("all", "own", "none"),
    "scope": _WORDS,
    "chats": (_is_list_of(int), "a list of chat ids"),
    "operating_limit": _SECONDS,
    "operating_seconds": (
        lambda value: isinstance(value, dict) and all(_is_number(one) for one in value.values()),
        "an object of seconds by method",
    ),
    "refusal_tells_reset": _FLAG,
    "rest_seconds": _SECONDS,
    "count_refused": _FLAG,
    "not_found_code": _one_of("", "NOT_FOUND"),
    "required_fields": _WORDS,
    "refuse_contacts_read": (_is_list_of(int), "a list of contact ids"),
    "address_zone": _one_of(*ADDRESS_ZONES),
    "missing_methods": _WORDS,
    "application": _one_of("installed", "revoked", "unpaid"),
    "handler": (
        lambda value: isinstance(value, str) and (not value or bool(_OF_THIS_MACHINE.fullmatch(value))),
        "an http address of this machine, such as http://127.0.0.1:8910/, or nothing",
    ),
    "access_seconds": _SECONDS,
    "refresh_seconds": _SECONDS,
    "reuse_seconds": _SECONDS,
    "clocks_apart": _SECONDS,
    "max_input_vars": _COUNT,
    "seed": (lambda value: type(value) is int, "a whole number"),
    "throttle": _SHARE,
    "html": _SHARE,
    "html_status": (
        lambda value: type(value) is int and value in range(200, 600) and value not in _WITHOUT_A_BODY,
        "an HTTP status of answers that have a body",
    ),
    "drop_before": _SHARE,
    "drop_after": _SHARE,
    "command": _SHARE,
    "command_error": (
        lambda value: (
            isinstance(value, dict)
            and set(value) == {"error", "error_description"}
            and _is_list_of(str)([*value.values()])
        ),
        'an object of two texts, "error" and "error_description"',
    ),
    "only_methods": (lambda value: value is None or _is_list_of(str)(value), "null or a list of methods"),
    "fatal_owners": (_is_list_of(int), "a list of ids of records"),
    "slow": _SHARE,
    "slow_seconds": _SECONDS,
    "silent": _SHARE,
    "drip": _SHARE,
    "drip_seconds": _SECONDS,
    "endless": _SHARE,
    "bad_chunk": _SHARE,
    "telltale": _SHARE,
    "late": _SECONDS,
    "oauth_down": _SHARE,
    "oauth_late": _SECONDS,
    "oauth_slow": _SECONDS,
    **{name: _shares(kinds) for name, kinds in FAULTS_BY_KIND.items()},
    "redirect": (
        lambda value: value is None or (isinstance(value, str) and bool(_IN_A_HEADER.fullmatch(value))),
        "null or an address of up to 8,000 letters, digits and signs of ASCII",
    ),
}

Settings = TypeVar("Settings", Switches, Faults)


def _shown(value: Any) -> str:
    """A refused value: as it is, or its beginning where it is long or deep."""
    return reprlib.repr(value) if php.is_array(value) else repr(value)[:_LONGEST]


def changed(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """The settings with the given values; :class:`SettingError` says what is wrong with one."""
    known = [one.name for one in fields(settings)]
    for name, value in given.items():
        if name not in known:
            kind = type(settings).__name__.lower()
            raise SettingError(
                f"There is no {name[:_LONGEST]!r} among the {kind}; there are {', '.join(known)}."
            )
        check, accepted = _ACCEPTED[name]
        if not check(value):
            raise SettingError(f"{name} takes {accepted}, not {_shown(value)}.")
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
            found[line.target.id] = told.replace("{kinds}", ", ".join(FAULTS_BY_KIND.get(line.target.id, ())))
    return found


def as_json(settings: Switches | Faults) -> dict[str, Any]:
    """The settings as a JSON object."""
    return asdict(settings)
