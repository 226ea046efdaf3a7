"""Made-up records with planted cases. The same numbers and seed give the same portal, whatever the day."""

from __future__ import annotations

import bisect
import random
from typing import TYPE_CHECKING, Final

from airflow_bitrix.sandbox import links as link_rules
from airflow_bitrix.sandbox import seed_places
from airflow_bitrix.sandbox.links import STEP, Link, LinkSet
from airflow_bitrix.sandbox.names import FIRST, LAST, POSTS, SOURCES, SUBJECTS
from airflow_bitrix.sandbox.schema import BY_NAME, PIPELINES, Kind, semantic_of
from airflow_bitrix.sandbox.state import Row, State, flag_repeat_deals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bitrix.sandbox.clock import Clock

NOW: Final = 1_772_323_200
"""The first of March 2026: dates count back from here, never from today."""
SPAN: Final = 2 * 365 * 86_400
USERS: Final = 5

LEAD_CASES: Final[Mapping[str, float]] = {
    "repeat_free": 0.29,
    "repeat_flag_only": 0.02,
    "repeat_company": 0.04,
    "repeat_converted": 0.04,
    "dangling": 0.015,
    "no_primary": 0.015,
    "scalar_at_odds": 0.01,
    "same_person": 0.02,
    "linked_since_saved": 0.04,
    "converted": 0.06,
}
DEAL_CASES: Final[Mapping[str, float]] = {
    "missing_lead_contacts": 0.06,
    "from_lead": 0.15,
    "dangling": 0.015,
    "no_primary": 0.015,
    "scalar_at_odds": 0.01,
    "same_person": 0.02,
    "unlinked": 0.2,
}
_OPEN_LEAD = ("NEW", "NEW", "IN_PROCESS", "IN_PROCESS", "PROCESSED", "JUNK")
_DEAL_STAGES = ("NEW", "PREPARATION", "EXECUTING", "FINAL_INVOICE", "WON", "WON", "LOSE")
_OTHER_WAYS = 0.15
_OTHER_PIPELINES = 0.15
_KNOWN_CALLERS = 0.15
_LINK_COUNTS = (1, 1, 1, 1, 2, 2, 2, 3, 4, 5)


class Seeder:
    """Fills one state. One generator for each kind, so that more leads do not change the contacts."""

    def __init__(self, state: State, seed: int, contacts: int) -> None:
        self.state, self.seed, self.contacts = state, seed, contacts
        self.rng = {kind: random.Random(f"{seed} {kind}") for kind in state.tables}
        self.pairs = [(2 * number - 1, 2 * number) for number in range(1, contacts // 2 + 1, 25)]
        self._members: dict[int, list[int]] = {}
        self.companies = range(1, max(1, contacts // 10) + 1)
        self.gone = range(contacts + 1, contacts + max(3, contacts // 100) + 1)

    def cases(self, kind: Kind, shares: Mapping[str, float], count: int) -> list[str]:
        """A case for each record: every case at least once, as long as there are records enough."""
        cases = [case for case, share in shares.items() for _ in range(max(1, round(share * count)))][:count]
        cases += ["plain"] * (count - len(cases))
        self.rng[kind].shuffle(cases)
        return cases

    def new_row(self, kind: Kind, position: float) -> Row:
        """What every record has; its position among those of its kind tells when it was made."""
        rng = self.rng[kind]
        created = NOW - SPAN + int(SPAN * position)
        user = rng.randrange(USERS) + 1
        return {
            "ASSIGNED_BY_ID": user,
            "CREATED_BY_ID": user,
            "MODIFY_BY_ID": user,
            "DATE_CREATE": created,
            "DATE_MODIFY": min(NOW, created + rng.randrange(2_592_000)),
            "SOURCE_ID": rng.choice(SOURCES),
        }

    def _person(self, kind: Kind, number: int) -> Row:
        rng = self.rng[kind]
        first, last = rng.choice(FIRST), rng.choice(LAST)
        phone = f"+49 30 {number // 10_000:04d} {number % 10_000:04d}"
        mail = f"{first}.{last}.{number}@example.com".lower()
        return {"NAME": first, "LAST_NAME": last, "PHONE": ((phone, "WORK"),), "EMAIL": ((mail, "WORK"),)}

    def add_contacts(self) -> None:
        """Contacts, half of them in companies; now and then two that follow each other are one person."""
        table, rng = self.state.tables["contact"], self.rng["contact"]
        doubles = {second: first for first, second in self.pairs}
        for number in range(1, self.contacts + 1):
            row = self.new_row("contact", number / (self.contacts + 1)) | self._person("contact", number)
            row["POST"] = rng.choice(POSTS)
            if first := doubles.get(number):
                twin = table.rows[first]
                phone = twin["PHONE"][0][0].replace(" ", "-")
                row |= {"NAME": twin["NAME"], "LAST_NAME": twin["LAST_NAME"], "PHONE": ((phone, "MOBILE"),)}
            if number % 2 == 0:
                row["COMPANY_ID"] = self.companies[number // 2 % len(self.companies)]
                self.state.place_links("contact", number, (Link(STEP, row["COMPANY_ID"], primary=True),))
            table.insert(row)

    # Links

    def some_contacts(self, rng: random.Random) -> list[int]:
        """Draw some contacts, mostly one, each once."""
        count = min(rng.choice(_LINK_COUNTS), self.contacts)
        if count <= 1:
            return [rng.randrange(self.contacts) + 1] if count else []
        return rng.sample(range(1, self.contacts + 1), count)

    def link_set(self, rng: random.Random, ids: list[int]) -> LinkSet:
        """Link these contacts, here and there with odd sorts or a role."""
        primary = rng.choice(ids) if rng.random() < 0.2 else ids[0]  # noqa: PLR2004
        unusual = rng.random() if len(ids) > 1 else 1.0
        step, role = (0, 0) if unusual < 0.02 else (STEP * 3, 0) if unusual < 0.05 else (STEP, 0)  # noqa: PLR2004
        if 0.05 <= unusual < 0.1:  # noqa: PLR2004
            role = 2
        links = (
            Link(STEP + index * step, contact_id, contact_id == primary, role)
            for index, contact_id in enumerate(ids)
        )
        return tuple(sorted(links))

    def place(self, kind: Kind, row: Row, case: str, ids: list[int]) -> None:
        """Link a record to contacts as its case wants it."""
        rng = self.rng[kind]
        if case == "dangling":
            ids = [*ids[:2], rng.choice(self.gone)]
            rng.shuffle(ids)
        elif case == "same_person" and self.pairs:
            pair = rng.choice(self.pairs)
            ids = [*pair, *(one for one in ids[:1] if one not in pair)]
        if not ids:
            return
        links = self.link_set(rng, ids)
        row["CONTACT_ID"] = link_rules.scalar(links)
        if case == "no_primary":
            links = tuple(link._replace(primary=False) for link in links)
            row["CONTACT_ID"] = min(ids)
        if case == "scalar_at_odds":
            others = [one for one in ids if one != row["CONTACT_ID"]]
            row["CONTACT_ID"] = others[0] if others else None
        self.state.place_links(kind, row["ID"], links)

    def add_users(self) -> None:
        """The portal's users; the last one has left."""
        rng = random.Random(f"{self.seed} user")
        for number in range(1, USERS + 1):
            first, last = rng.choice(FIRST), rng.choice(LAST)
            self.state.users[number] = {
                "ID": number,
                "ACTIVE": "N" if number == USERS else "Y",
                "NAME": first,
                "LAST_NAME": last,
                "EMAIL": f"{first}.{last}@portal.example".lower(),
                "WORK_POSITION": rng.choice(POSTS),
            }

    def add_sites_and_messengers(self) -> None:
        """A web site or a messenger for some contacts: a generator of its own leaves the rest as it is."""
        rng = random.Random(f"{self.seed} web")
        for number, row in self.state.tables["contact"].rows.items():
            if rng.random() < _OTHER_WAYS:
                row["WEB"] = ((f"https://contact-{number}.example", rng.choice(("WORK", "HOME", "OTHER"))),)
            if rng.random() < _OTHER_WAYS:
                row["IM"] = ((f"contact{number}", rng.choice(("TELEGRAM", "SKYPE", "OTHER"))),)

    # Leads

    def add_leads(self, count: int) -> None:
        """Leads, a good third of them repeat leads."""
        table, rng = self.state.tables["lead"], self.rng["lead"]
        for index, case in enumerate(self.cases("lead", LEAD_CASES, count)):
            row = self.new_row("lead", (index + rng.random()) / count)
            company = case == "repeat_company" or (case == "repeat_converted" and rng.random() < 0.2)  # noqa: PLR2004
            linked = case not in {"repeat_flag_only", "converted", "plain"}
            if case == "repeat_company" and rng.random() < 0.5:  # noqa: PLR2004
                linked = False
            ids = self.some_contacts(rng) if linked else []
            row["STATUS_ID"] = "CONVERTED" if "converted" in case else rng.choice(_OPEN_LEAD)
            row["STATUS_SEMANTIC_ID"] = semantic_of(row["STATUS_ID"])
            if company:
                row["COMPANY_ID"] = rng.randrange(max(1, self.contacts // 10)) + 1
            if case.startswith("repeat") or (ids and case != "linked_since_saved" and rng.random() < 0.7):  # noqa: PLR2004
                row["IS_RETURN_CUSTOMER"] = "Y"
            if not ids and not company:
                row |= self._person("lead", 50_000_000 + index)
            row["TITLE"] = f"{rng.choice(LAST)}: {rng.choice(SUBJECTS)}"
            table.insert(row)
            self.place("lead", row, case, ids)

    # Deals

    def _origin(self, created: int, sources: list[int]) -> int:
        """A lead that is older than the deal that was made from it."""
        leads = self.state.tables["lead"].rows
        older = bisect.bisect_right(sources, created, key=lambda lead_id: leads[lead_id]["DATE_CREATE"])
        return sources[self.rng["deal"].randrange(max(1, older))] if sources else 0

    def add_deals(self, count: int) -> None:
        """Deals; some were made from leads, and some of these lack contacts of their lead."""
        table, rng = self.state.tables["deal"], self.rng["deal"]
        leads = self.state.tables["lead"].rows
        sources = [lead_id for lead_id in leads if self.state.links("lead", lead_id)]
        for index, case in enumerate(self.cases("deal", DEAL_CASES, count)):
            row = self.new_row("deal", (index + rng.random()) / count)
            row["STAGE_ID"] = rng.choice(_DEAL_STAGES)
            row["STAGE_SEMANTIC_ID"] = semantic_of(row["STAGE_ID"])
            row["CLOSED"] = "N" if row["STAGE_SEMANTIC_ID"] == "P" else "Y"
            row["OPPORTUNITY"] = float(rng.randrange(1, 400) * 50)
            row["TITLE"] = f"{rng.choice(LAST)}: {rng.choice(SUBJECTS)}"
            ids = [] if case == "unlinked" else self.some_contacts(rng)
            if case in {"missing_lead_contacts", "from_lead"} and (
                lead_id := self._origin(row["DATE_CREATE"], sources)
            ):
                row["LEAD_ID"] = lead_id
                row["IS_REPEATED_APPROACH"] = leads[lead_id].get("IS_RETURN_CUSTOMER", "N")
                ids = [link.contact_id for link in self.state.links("lead", lead_id)]
                if case == "missing_lead_contacts":
                    ids = ids[1:] if rng.random() < 0.5 else []  # noqa: PLR2004
            table.insert(row)
            self.place("deal", row, case, ids)

    # Companies

    def add_company_contacts(self) -> None:
        """Leads and deals of a company that brought its contacts along.

        A generator of its own and a pass of its own: the records made before stay what they are, but for
        these. Leads that deals were made from are left alone, so that no deal lacks contacts by it.
        """
        rng = random.Random(f"{self.seed} company")
        leads, deals = self.state.tables["lead"].rows, self.state.tables["deal"].rows
        origins = {row.get("LEAD_ID") for row in deals.values()}
        held = [row for row in leads.values() if row.get("COMPANY_ID") and row["ID"] not in origins]
        held = [row for row in held if row.get("STATUS_SEMANTIC_ID") != "S"]
        free = [row for row in deals.values() if not row.get("LEAD_ID")]
        free = [row for row in free if self.state.links("deal", row["ID"])]
        for one in self.state.tables["contact"].rows.values():
            self._members.setdefault(one.get("COMPANY_ID") or 0, []).append(one["ID"])
        for row in rng.sample(free, min(len(free), max(1, len(deals) // 25))):
            row["COMPANY_ID"] = rng.choice(self.companies)
            self.bring("deal", row, rng)
        for row in rng.sample(held, -(-len(held) // 2)):
            self.bring("lead", row, rng)
        self._flag_deals()

    def know_callers(self) -> None:
        """Some leads with the phone or the e-mail of a contact to which they are not linked.

        A generator of its own leaves the rest as it is.
        """
        rng = random.Random(f"{self.seed} caller")
        contacts = [*self.state.tables["contact"].rows.values()]
        for row in self.state.tables["lead"].rows.values():
            if contacts and "PHONE" in row and rng.random() < _KNOWN_CALLERS:
                way = rng.choice(("PHONE", "EMAIL"))
                row[way] = rng.choice(contacts)[way]

    def spread_deals(self) -> None:
        """Some deals in the other pipelines, in the stages that they have: by a generator of its own, too."""
        rng = random.Random(f"{self.seed} pipeline")
        others = [category for category in PIPELINES if category]
        for row in self.state.tables["deal"].rows.values():
            if rng.random() < _OTHER_PIPELINES:
                row["CATEGORY_ID"] = rng.choice(others)
                row["STAGE_ID"] = f"C{row['CATEGORY_ID']}:{row['STAGE_ID']}"

    def bring(self, kind: Kind, row: Row, rng: random.Random) -> None:
        """Link contacts of its company to a record, behind those that it has."""
        links = self.state.links(kind, row["ID"])
        linked = {link.contact_id for link in links}
        members = self._members.get(row["COMPANY_ID"], [])
        brought = rng.sample(members, min(len(members), rng.randrange(3, 6)))
        last = max((link.sort for link in links), default=0)
        new = [
            Link(last + STEP * place, one)
            for place, one in enumerate((one for one in brought if one not in linked), start=1)
        ]
        if not links and new:
            new[0] = new[0]._replace(primary=True)
            row["CONTACT_ID"] = new[0].contact_id
        self.state.place_links(kind, row["ID"], (*links, *new))

    def _flag_deals(self) -> None:
        customers: dict[tuple[int, int], list[Row]] = {}
        for row in self.state.tables["deal"].rows.values():
            company = row.get("COMPANY_ID") or 0
            contact = 0 if company else row.get("CONTACT_ID") or 0
            if company or contact:
                customers.setdefault((company, contact), []).append(row)
        for deals in customers.values():
            flag_repeat_deals(deals)


def seeded(
    *,
    leads: int,
    deals: int,
    contacts: int,
    seed: int,
    clock: Clock,
    originator: str = "",
    **others: int,
) -> State:
    """A portal's data. Ids are dense from 1, but for contacts that are gone while links to them remain.

    With ``originator`` all records look imported: from records of the same ids in a portal of that name.

    :param others: How many records of the kinds in :data:`seed_places.COUNTS` there are.
    """
    state = State(clock)
    seeder = Seeder(state, seed, contacts)
    seeder.add_users()
    seeder.add_contacts()
    seeder.add_sites_and_messengers()
    if leads or deals or any(others.values()):
        state.tables["contact"].next_id = seeder.gone.stop
    seeder.add_leads(leads)
    seeder.add_deals(deals)
    seeder.add_company_contacts()
    seeder.spread_deals()
    seeder.know_callers()
    seed_places.add(seeder, others)
    if originator:
        for kind, table in state.tables.items():
            for row_id, row in table.rows.items() if "ORIGIN_ID" in BY_NAME[kind] else ():
                row |= {"ORIGINATOR_ID": originator, "ORIGIN_ID": str(row_id)}
    return state
