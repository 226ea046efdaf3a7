"""Messages to users and chats of a portal: a notifier for callbacks, deadlines, and approvals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.notifier import BaseNotifier

from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error, InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import positive_id
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID, opened, opened_async
from airflow_bitrix.notifications.telling import masked, told_of

if TYPE_CHECKING:
    from airflow.sdk import Context
    from jinja2 import Environment

NOTIFY, SEND = "im.notify.personal.add", "im.message.add"

RETRIES = Retries(times=2, full=30.0)
"""A task waits no longer than this for a portal that takes no messages."""

LONGEST = 20_000
"""Signs of a message; the portal takes as many."""

_CHAT = re.compile(r"(?:chat)?([0-9]+)")


class Bitrix24Notifier(BaseNotifier):
    """Tell users or a chat of a portal what has happened, with its numbers and links to approval and report.

    For ``carry_out(…, notify=…)``, ``on_failure_callback``, ``on_success_callback`` and the like, and for
    deadlines, whose triggerer awaits it. Users get a notification (``im.notify.personal.add``), a chat a
    message (``im.message.add``); that needs the scope ``im`` beside ``crm``. Whatever goes wrong with
    that is a sentence in the log: it never fails a task.

    Follows https://apidocs.bitrix24.com/api-reference/chats/notifications/im-notify-personal-add.html and
    https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html.

    :param users: Ids of users: one, a list of them, or a text with commas. (templated)
    :param chat: A chat that the connected user is in: ``7`` or ``"chat7"``; ``None`` for none. (templated)
    :param message: What to say, in the portal's marks (BBCode). By default what the task tells; a template
        finds that as ``{{ bitrix24 }}``, where ``carry_out`` has it told. (templated)
    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``. (templated)
    :param context: What a deadline hands over.
    :raises InvalidInput: Neither users nor a chat are named.
    """

    template_fields: Sequence[str] = ("users", "chat", "message", "bitrix24_conn_id")

    def __init__(
        self,
        *,
        users: Sequence[int | str] | int | str = (),
        chat: int | str | None = None,
        message: str = "",
        bitrix24_conn_id: str = DEFAULT_CONN_ID,
        context: Context | None = None,
    ) -> None:
        # The parent looks for the files of templated fields.
        self.users = users
        self.chat = chat
        self.message = message
        self.bitrix24_conn_id = bitrix24_conn_id
        if users in (None, (), [], "") and chat in (None, ""):
            raise InvalidInput("users", users, gettext("ids of users to tell, or a chat in its place"))
        super().__init__(*([context] if context else []))

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Fill in the templates of its fields.

        Airflow 3.1 leaves one as it stands that comes to nothing, such as that of a form that names nobody.
        """
        environment = jinja_env or self.get_template_env(dag=context.get("dag"))
        for name in self.template_fields:
            setattr(self, name, self.render_template(getattr(self, name), context, environment))

    def notify(self, context: Context) -> None:
        """Send the messages from a task or from the DAG processor."""
        try:
            if calls := self._calls(context):
                hook = opened(self.bitrix24_conn_id)
                hook.retries = RETRIES
                self._account(hook.batch(calls))
        except Exception as error:  # noqa: BLE001 (no message is worth a run)
            self._untold(error)

    async def async_notify(self, context: Context) -> None:
        """Send the messages from the triggerer, as a deadline does."""
        try:
            if calls := self._calls(context):
                hook = opened_async(self.bitrix24_conn_id)
                hook.retries = RETRIES
                self._account(await hook.batch(calls))
        except Exception as error:  # noqa: BLE001 (likewise)
            self._untold(error)

    def _calls(self, context: Mapping[str, Any]) -> list[Call]:
        text = (masked(self.message) if self.message else told_of(context).text)[:LONGEST]
        calls = [Call(NOTIFY, {"USER_ID": user, "MESSAGE": text}) for user in _ids(self.users)]
        if self.chat not in (None, ""):
            calls.append(Call(SEND, {"DIALOG_ID": f"chat{_chat(self.chat)}", "MESSAGE": text}))
        return calls

    def _account(self, told: Sequence[CommandOutcome]) -> None:
        """Say what came of it, each trouble once."""
        sent = sum(outcome.ok for outcome in told)
        if sent:
            self.log.info(
                "%s", gettext("Told in Bitrix24: {sent} of {told} messages", sent=sent, told=len(told))
            )
        for said in dict.fromkeys(_trouble(one.error) for one in told if one.error):
            self.log.warning("%s", gettext("Not told in Bitrix24: {said}", said=said))

    def _untold(self, error: Exception) -> None:
        self.log.warning("%s", gettext("Not told in Bitrix24: {trouble}", trouble=_trouble(error)))


def _trouble(error: Exception) -> str:
    if isinstance(error, AuthFailed) and error.answer.code.lower() == "insufficient_scope":
        return gettext(
            "the webhook or application lacks the scope im, which messages need: grant it in its settings"
        )
    return str(error) if isinstance(error, Bitrix24Error) else as_plain_text(error)


def _ids(users: object) -> Iterator[int]:
    if isinstance(users, str):
        users = [one for one in re.split(r"[\s,;]+", users.strip("[](){} ")) if one]
    if users is None:  # a template that came to nothing
        return
    for one in users if isinstance(users, (list, tuple, set)) else [users]:
        yield positive_id("users", one)


def _chat(chat: object) -> int:
    found = _CHAT.fullmatch(str(chat).strip())
    if not found:
        raise InvalidInput("chat", chat, gettext("the number of a chat, such as 7 or chat7"))
    return positive_id("chat", found[1])
