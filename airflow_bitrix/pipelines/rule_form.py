"""What the trigger forms of clean-ups ask of how their rules shall work."""

from __future__ import annotations

from airflow.sdk import Param

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.pipelines.bounds import between

RULE_OPTIONS: dict[str, dict[str, str]] = {
    "release_repeat_leads": {"company": "{{ params.release_company | default(none) }}"},  # of leads alone
    "unlink_closed": {"days": "{{ params.closed_days }}"},
    "trim_company_contacts": {"keep": "{{ params.keep_company_contacts }}"},
    "merge_same_person": {
        "survivor": "{{ params.survivor }}",
        "match": "{{ params.match }}",
        "region": "{{ params.phone_region }}",
        "shared_by": "{{ params.phone_shared_by }}",
    },
}
"""What the answers of the form say to the rules of a clean-up: ``rule_options=RULE_OPTIONS``."""


def rule_option_params(kind: OwnerKind = "lead") -> dict[str, Param]:
    """Give the parameters with which a form asks how the clean-up rules shall work.

    :param kind: The owners that it cleans up: it asks nothing of rules that are not for them.
    """
    of_leads = {
        "release_company": Param(
            "keep",
            type="string",
            enum=["keep", "unlink"],
            values_display={
                "keep": gettext("Leave such leads alone"),
                "unlink": gettext("Take the company off, in the save that is made anyway"),
            },
            title=gettext("Release repeat leads: held by a company"),
            description=gettext("A lead with a company stays a repeat lead whatever its contacts."),
            section=gettext("How rules work"),
        ),
    }
    return {
        **(of_leads if kind == "lead" else {}),
        "closed_days": Param(
            90,
            type="integer",
            **between(0, 36_500),
            title=gettext("Unlink closed: after so many days"),
            description=gettext("Only those that were not saved for so many days."),
            section=gettext("How rules work"),
        ),
        "keep_company_contacts": Param(
            1,
            type="integer",
            **between(0, 1000),
            title=gettext("Trim company contacts: keep so many"),
            description=gettext("Beside the primary contact, in the order of the links."),
            section=gettext("How rules work"),
        ),
        "survivor": Param(
            "most_links",
            type="string",
            enum=["most_links", "oldest", "most_complete"],
            values_display={
                "most_links": gettext("The contact with most links to leads and deals"),
                "oldest": gettext("The oldest contact"),
                "most_complete": gettext("The contact with most fields filled in"),
            },
            title=gettext("Merge same person: keep"),
            description=gettext("Which of several contacts that are one person stays linked."),
            section=gettext("How rules work"),
        ),
        "match": Param(
            "phone_or_email",
            type="string",
            enum=["phone_or_email", "phone", "email"],
            values_display={
                "phone_or_email": gettext("A phone or an e-mail"),
                "phone": gettext("A phone"),
                "email": gettext("An e-mail"),
            },
            title=gettext("Merge same person: told by"),
            description=gettext("What contacts share that are one person."),
            section=gettext("How rules work"),
        ),
        "phone_region": Param(
            None,
            type=["null", "string"],
            pattern="^[A-Za-z]{2}$",
            examples=["BR", "BY", "DE", "FR", "GB", "IN", "KZ", "MX", "PL", "RU", "TR", "UA", "US", "VN"],
            title=gettext("Merge same person: country of phones"),
            description=gettext("Whose phones have no country code. Empty for the portal's own country."),
            section=gettext("How rules work"),
        ),
        "phone_shared_by": Param(
            3,
            type="integer",
            **between(2, 19),
            title=gettext("Merge same person: most contacts with one phone"),
            description=gettext(
                "A phone that more contacts hold is a switchboard's: it is told, and not used."
            ),
            section=gettext("How rules work"),
        ),
    }
