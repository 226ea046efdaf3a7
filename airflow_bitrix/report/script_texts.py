"""What the page's script says, in the language that is spoken when the page is made."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_bitrix.core.languages import gettext, pgettext


def script_texts() -> Mapping[str, str]:
    """Give the texts by the names that the script has for them; it fills their braces."""
    return {
        "copied": gettext("copied"),
        "copy": gettext("press Ctrl+C"),
        "stale": gettext("Not up to date since {time} UTC."),
        "busy": gettext("The server is busy, or cannot be reached; this page goes on asking."),
        "gone": gettext("This run is no longer there."),
        "session": gettext("Your session has ended: log in again, and reload this page."),
        "unread": gettext("The changes could not be read: {problem}"),
        "status": gettext("the server says {status}"),
        "rows": gettext("{first} to {last} of {total}"),
        "rows_of_first": gettext("{first} to {last} of {total} of the first {most}"),
        "none": pgettext("changes", "none"),
        "none_of_first": gettext("none of the first {most}"),
    }
