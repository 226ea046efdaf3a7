"""What the author of a clean-up rule needs: ``from airflow_bitrix.rules import Rule, Wish, without``.

The rules beside this module are written with nothing else, and are there to be used and to be read.
"""

from __future__ import annotations

from airflow_bitrix.core.contacts import Company, Contact, Means
from airflow_bitrix.core.link_edits import primary_of, with_added, with_primary, without
from airflow_bitrix.core.links import OF_A_COMPANY, ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rule_judgement import NOTHING, Facts, LeftOut, Needs, Rule, Verdict, Wish
from airflow_bitrix.core.rule_options import choice, country, whole

__all__ = [
    "NOTHING",
    "OF_A_COMPANY",
    "Company",
    "Contact",
    "ContactLink",
    "Facts",
    "LeftOut",
    "LinkSet",
    "Means",
    "Needs",
    "Owner",
    "OwnerState",
    "Rule",
    "Verdict",
    "Wish",
    "choice",
    "country",
    "primary_of",
    "whole",
    "with_added",
    "with_primary",
    "without",
]
