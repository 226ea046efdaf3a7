"""Pages of records, and of what people were told: what links of reports and of Airflow's UI lead to."""
# ruff: noqa: E501 - style sheets and markup read better unbroken

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_bitrix.sandbox.fields import format_datetime
from airflow_bitrix.sandbox.schema import BY_NAME, ENTITY_TYPES, RECORDS, Kind, semantic_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from airflow_bitrix.sandbox.links import Link
    from airflow_bitrix.sandbox.state import Row, State

_STYLE = """
:root { color-scheme: light dark; --line: #d9dee7; --soft: #667085; --card: #fff; --page: #f3f5f9; --ink: #1c2433;
  --blue: #1d5fd1; --amber: #8a5300; --amber-bg: #fff1d6; --green: #10693a; --green-bg: #ddf5e6; --red: #a1261c;
  --red-bg: #fde4e1; --blue-bg: #e3edfd; }
@media (prefers-color-scheme: dark) { :root { --line: #333d4f; --soft: #9aa6bb; --card: #1b2230; --page: #121722;
  --ink: #e8ecf4; --blue: #8ab4ff; --amber: #ffcf85; --amber-bg: #43310f; --green: #8fe0b0; --green-bg: #123a25;
  --red: #ffa79e; --red-bg: #4a1d19; --blue-bg: #1c335c; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
.sandbox { margin: 0; padding: .7rem 1rem; background: var(--amber-bg); color: var(--amber); text-align: center;
  font-size: 1.6rem; font-weight: 700; line-height: 1.25; border-bottom: 3px solid currentColor }
main { max-width: 46rem; margin: 2.5rem auto; padding: 0 1rem }
header p { margin: 0; color: var(--soft) }
h1 { margin: 0 0 .6rem; font-size: 1.6rem; line-height: 1.25 }
h2 { margin: 0; font-size: 1rem }
section { margin-top: 1.2rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1rem 1.2rem }
.badge { display: inline-block; margin-right: .4rem; padding: .1rem .6rem; border-radius: 99px; font-size: .85rem;
  font-weight: 600; background: var(--blue-bg); color: var(--blue) }
.S { background: var(--green-bg); color: var(--green) } .F, .gone { background: var(--red-bg); color: var(--red) }
.repeat { background: var(--amber-bg); color: var(--amber) }
table { width: 100%; margin-top: .6rem; border-collapse: collapse }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .85rem }
th, td { padding: .45rem .6rem .45rem 0; border-top: 1px solid var(--line); vertical-align: top }
tr:first-child th { border-top: 0 }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; padding-right: 1.4rem }
dl { display: grid; grid-template-columns: 11rem 1fr; gap: .3rem 1rem; margin: .6rem 0 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
a { color: var(--blue); text-decoration: none } a:hover { text-decoration: underline }
ol { list-style: none; margin: .6rem 0 0; padding: 0 } li { padding: .6rem 0; border-top: 1px solid var(--line) }
li p { margin: 0; color: var(--soft); font-size: .85rem } li div { margin: .2rem 0 0; overflow-wrap: anywhere }
input, button { font: inherit; padding: .3rem .6rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); color: inherit }
td.id { width: 5rem }
.empty { margin: .6rem 0 0; color: var(--soft) }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title><style>{style}</style></head>
<body><p class="sandbox">Sandbox — this is no Bitrix24 portal</p><main>{body}</main></body>
</html>
"""
_BB_CODE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\[b\](.*?)\[/b\]", re.IGNORECASE | re.DOTALL), r"<b>\1</b>"),
    (
        re.compile(r"\[url=(https?://[^\]\s]+)\](.*?)\[/url\]", re.IGNORECASE | re.DOTALL),
        r'<a href="\1">\2</a>',
    ),
    (re.compile(r"(?<![\">])https?://[^\s<]+"), r'<a href="\g<0>">\g<0></a>'),
    (re.compile(r"\n"), "<br>"),
)
"""What the portal makes of the marks in words, as far as a sandbox shows them."""
_ID = re.compile(r"[0-9]{1,18}")
_LONGEST = 100
_STAGES = {"P": "in progress", "S": "succeeded", "F": "failed"}


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=escape(title), style=_STYLE, body=body), status)


def _badge(text: str, look: str = "") -> str:
    return f'<span class="badge {look}">{escape(text)}</span>'


def _address(kind: Kind, record_id: int) -> str:
    return f"/{RECORDS[kind].family.card}/{record_id}/"


def _title(kind: Kind, row: Row) -> str:
    name = f"{row.get('NAME') or ''} {row.get('LAST_NAME') or ''}".strip()
    return str(row.get("TITLE") or name or f"{kind} {row['ID']}")


def _link_line(state: State, kind: Kind, position: int, link: Link) -> str:
    linked, number = RECORDS[kind].family.linked, link.contact_id
    row = state.row(linked, number)
    if row is None:
        name = f"{RECORDS[linked].name} {number} {_badge(f'no such {linked}', 'gone')}"
    else:
        name = f'<a href="{_address(linked, number)}">{escape(_title(linked, row))}</a>'
    mark = _badge("primary") if link.primary else ""
    return (
        f'<tr><td class="number">{position}</td><td>{name} {mark}</td><td class="number">{number}</td>'
        f'<td class="number">{link.sort}</td><td class="number">{link.role_id}</td></tr>'
    )


def _links(state: State, kind: Kind, owner_id: int) -> str:
    links, linked = state.links(kind, owner_id), RECORDS[RECORDS[kind].family.linked]
    if not links:
        nothing = f"No {linked.family.kind} is linked."
        return f'<section><h2>{linked.several}</h2><p class="empty">{nothing}</p></section>'
    lines = "".join(_link_line(state, kind, position, link) for position, link in enumerate(links, 1))
    return (
        f"<section><h2>{linked.several} ({len(links)})</h2><table><tr>"
        '<th class="number">#</th><th>Name</th><th class="number">Id</th><th class="number">Sort</th>'
        f'<th class="number">Role</th></tr>{lines}</table></section>'
    )


def _owners(state: State, contact_id: int) -> str:
    kinds = [kind for kind, record in RECORDS.items() if record.family.linked == "contact"]
    lines = [
        f"<tr><td>{RECORDS[kind].name.lower()} {owner_id}</td><td>{_titled(state, kind, owner_id)}</td></tr>"
        for kind in kinds
        for owner_id in sorted(state.owners_of(kind, (contact_id,)))
    ]
    found = f"<table>{''.join(lines)}</table>" if lines else '<p class="empty">Linked to nothing.</p>'
    return f"<section><h2>Linked to</h2>{found}</section>"


def _titled(state: State, kind: Kind, record_id: int) -> str:
    row = state.row(kind, record_id)
    if row is None:
        return _badge("gone", "gone")
    return f'<a href="{_address(kind, record_id)}">{escape(_title(kind, row))}</a>'


def _words(text: str) -> str:
    shown = escape(text)
    for mark, tag in _BB_CODE:
        shown = mark.sub(tag, shown)
    return shown


def _said(title: str, lines: Iterable[tuple[str, int, str]], nothing: str) -> str:
    """A section of what was said: by or to whom, when, and the words; the last first."""
    shown = "".join(
        f"<li><p>{escape(who)}, {format_datetime(when)}</p><div>{_words(text)}</div></li>"
        for who, when, text in reversed(list(lines))
    )
    content = f"<ol>{shown}</ol>" if shown else f'<p class="empty">{nothing}</p>'
    return f"<section><h2>{title}</h2>{content}</section>"


def _timeline(state: State, kind: Kind, record_id: int) -> str:
    comments = state.comments_on(kind, record_id)
    lines = ((f"user {one.author}", one.created, one.text) for one in comments)
    return _said("Timeline", lines, "No comment.")


def _facts(state: State, kind: Kind, row: Row) -> str:
    lead_id = row.get("LEAD_ID") or 0
    shown: dict[str, str] = {
        "Company": str(row.get("COMPANY_ID") or ""),
        "CONTACT_ID": str(row.get("CONTACT_ID") or "empty") if "CONTACT_ID" in BY_NAME[kind] else "",
        "Made from": f'<a href="{_address("lead", lead_id)}">lead {lead_id}</a>' if lead_id else "",
        "Phone": escape(", ".join(value for value, _ in row.get("PHONE") or ())),
        "E-mail": escape(", ".join(value for value, _ in row.get("EMAIL") or ())),
        "Source": escape(row.get("SOURCE_ID") or ""),
        "Responsible": f"user {state.value(kind, row, 'ASSIGNED_BY_ID')}",
        "Created": format_datetime(row["DATE_CREATE"]),
        "Saved": format_datetime(row["DATE_MODIFY"]),
    }
    lines = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in shown.items() if value)
    return f"<section><h2>Record</h2><dl>{lines}</dl></section>"


def _badges(state: State, kind: Kind, row: Row) -> str:
    if not (name := RECORDS[kind].stage):
        return ""
    stage = str(state.value(kind, row, name))
    semantic = semantic_of(stage)
    shown = _badge(f"{stage} · {_STAGES[semantic]}", semantic)
    if row.get("IS_RETURN_CUSTOMER") == "Y":
        shown += _badge(f"repeat {kind}", "repeat")
    return shown


def _kind_of(request: Request) -> Kind:
    """The kind that an address names: by its name, or by its number as the portal's newer pages do."""
    given: dict[str, str] = request.path_params
    number = given.get("type_id", "")
    return ENTITY_TYPES.get(int(number) if _ID.fullmatch(number) else 0, "") if number else given["kind"]


async def _record(request: Request) -> Response:
    kind, text = _kind_of(request), request.path_params["record_id"]
    record_id = int(text) if _ID.fullmatch(text) else 0
    portal = request.app.state.portal
    with portal.lock:
        state: State = portal.state
        row = state.row(kind, record_id) if kind in RECORDS else None
        if row is None:
            missing = f"There is no {escape(f'{kind} {text}'[:_LONGEST])} in this sandbox."
            return _page("Not found", f"<header><h1>Not found</h1><p>{missing}</p></header>", 404)
        title, name = _title(kind, row), RECORDS[kind].name
        head = f"<header><p>{name} {record_id}</p><h1>{escape(title)}</h1>"
        links = _links(state, kind, record_id)
        if kind == "contact":
            links = _owners(state, record_id) + links
        return _page(
            f"{name} {record_id}: {title}",
            f"{head}{_badges(state, kind, row)}</header>{links}{_facts(state, kind, row)}{_timeline(state, kind, record_id)}",
        )


async def _messages(request: Request) -> Response:
    portal = request.app.state.portal
    with portal.lock:
        told = [(f"{one.kind} to {one.to}", one.sent, one.text) for one in portal.state.messages]
    said = _said("Who was told what", told, "Nobody was told anything.")
    return _page("Messages", f"<header><h1>Messages</h1></header>{said}")


def _listed(state: State, kind: Kind, wanted: str, most: int) -> str:
    """A section of the records of a kind whose id is wanted, or whose title has the words in it."""
    rows = state.tables[kind].rows
    words = wanted.casefold()
    found = [
        row for number, row in rows.items() if words in _title(kind, row).casefold() or words == str(number)
    ]
    lines = "".join(
        f'<tr><td class="number id">{row["ID"]}</td><td><a href="{_address(kind, row["ID"])}">{escape(_title(kind, row))}</a> '
        f"{_badges(state, kind, row)}</td></tr>"
        for row in found[:most]
    )
    head = f'<h2><a href="/crm/{kind}/">{RECORDS[kind].several}</a> ({len(found):,})</h2>'
    rest = f'<p class="empty">and {len(found) - most:,} more</p>' if len(found) > most else ""
    return f"<section>{head}<table>{lines}</table>{rest}</section>"


async def _index(request: Request) -> Response:
    """The first page, and the page of a kind: its records, to be searched."""
    given = request.path_params.get("kind")
    if given is not None and given not in RECORDS:
        return _page("Not found", "<header><h1>Not found</h1></header>", 404)
    wanted = request.query_params.get("q", "").strip()[:_LONGEST]
    portal = request.app.state.portal
    with portal.lock:
        tables, most = portal.state.tables, 200 if given else 10
        kinds = [given] if given else [kind for kind, table in tables.items() if table.rows]
        found = "".join(_listed(portal.state, kind, wanted, most) for kind in kinds)
    name = RECORDS[given].several if given else "Records"
    search = (
        f'<form><input type="search" name="q" value="{escape(wanted)}" aria-label="Title, name or id" '
        'placeholder="Title, name or id"> <button>Search</button></form>'
    )
    others = "" if given else _OTHERS
    return _page(name, f"<header><h1>{name}</h1>{search}</header>{found}{others}")


_OTHERS = (
    "<section><h2>More</h2><dl>"
    + "".join(
        f'<dt><a href="{address}">{address}</a></dt><dd>{what}</dd>'
        for address, what in (
            ("/online/", "messages to people"),
            ("/__sandbox/truth", "what the records hold, and what rules are to make of them"),
            ("/__sandbox/links", "all contact links"),
            ("/__sandbox/writes", "what was written"),
            ("/__sandbox/stats", "requests that were admitted and refused"),
            (
                "/__sandbox/faults",
                "failures: set by POST, as <code>python -m airflow_bitrix.sandbox --help</code> tells",
            ),
            ("/__sandbox/switches", "what kind of portal it is: likewise"),
        )
    )
    + "</dl></section>"
)


def routes() -> list[Route]:
    """The first page, those of records, and the messenger."""
    return [
        Route("/", _index),
        Route("/crm/{kind}/", _index),
        Route("/crm/{kind}/list/", _index),
        Route("/crm/{kind}/details/{record_id}/", _record),
        Route("/crm/type/{type_id}/details/{record_id}/", _record),
        Route("/online/", _messages),
    ]
