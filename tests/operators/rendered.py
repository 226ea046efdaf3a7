"""Tasks as they are when they run: what their templates came to is known only then."""

from __future__ import annotations

from typing import Any


def rendered(operator: Any, **arguments: Any) -> Any:
    """Make a task each of whose templated arguments came out of a template."""
    later = {name: value for name, value in arguments.items() if name in operator.template_fields}
    task = operator(**{**arguments, **dict.fromkeys(later, "{{ later }}")})
    for name, value in later.items():
        setattr(task, name, value)
    return task
