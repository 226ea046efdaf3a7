"""Telling Airflow that contact links have changed: what is scheduled by it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow.sdk import AssetAlias, Context

from airflow_bitrix.assets.portals import links_applied, links_asset
from airflow_bitrix.core.links import LINK_ROWS, OwnerKind
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.report.summary import Summary

Alias = Callable[[OwnerKind], AssetAlias]


def with_aliases(outlets: Sequence[Any], alias: Alias) -> list[Any]:
    """Give the outlets of a task that may tell of changes, with its own.

    An alias is no event in itself: what was changed is told when it was, and only then.
    """
    own = map(alias, LINK_ROWS)
    return [*outlets, *(one for one in own if one not in outlets)]


def tell_applied(context: Context, manifest: Manifest, summary: Summary, where: Mapping[str, Any]) -> None:
    """Tell what an apply has changed, if anything.

    :param where: Where plan and journal lie.
    """
    if applied := summary.counts["applied"]:
        told = {"by": "apply", "kind": manifest.kind, "applied": applied, **where}
        tell_changed(context, links_applied, manifest.portal, manifest.kind, told)


def tell_changed(
    context: Context, alias: Alias, portal: str, kind: OwnerKind, extra: Mapping[str, Any]
) -> None:
    """Tell that links of a portal have changed, once the task has succeeded.

    :param portal: Its address.
    :param extra: What is told with it, small enough for Airflow's database.
    """
    events = context.get("outlet_events")
    if events is not None:  # outside of Airflow there is nobody to tell
        events[alias(kind)].add(links_asset(portal, kind), extra=dict(extra))
