"""A rule that goes by companies: the primary contact of owners that belong to one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.rules import (
    NOTHING,
    OF_A_COMPANY,
    Facts,
    LeftOut,
    Needs,
    OwnerState,
    Rule,
    Verdict,
    Wish,
    with_primary,
)


class CompanyCardPrimary(Rule):
    """Make the contact primary that the company's card shows first, of those that are linked.

    A card shows contacts in the order of their ids.
    """

    name = "company_card_primary"
    title = gettext_noop("Company's first: make the contact primary that the company's card shows first")
    kinds = OF_A_COMPANY

    def filter(self, now: datetime) -> Mapping[str, str]:
        """Only owners with a company."""
        del now
        return {">companyId": "0"}

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """The company of an owner that has several contacts."""
        del facts
        several = state.company_id and len(state.links.links) > 1
        return Needs(companies=[state.company_id]) if several else NOTHING

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want the first contact of the card first."""
        company = facts.companies.get(state.company_id)
        linked = state.links.contact_ids
        if company is None and state.company_id and len(linked) > 1:
            said = gettext("company {company} cannot be read", company=str(state.company_id))
            return LeftOut(gettext_noop("company cannot be read"), said)
        first = next((one for one in company.contact_ids if one in linked), None) if company else None
        if first is None or first == state.links.shown_id:
            return None
        reason = gettext(
            "contact {contact} comes first on the card of company {company}",
            contact=str(first),
            company=str(state.company_id),
        )
        return Wish(with_primary(state.links, first), reason, holds={"company_id": state.company_id})
