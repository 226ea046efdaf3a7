"""Messages to people: ``im.notify.personal.add`` and ``im.message.add``.

Follows https://apidocs.bitrix24.com/api-reference/chats/notifications/im-notify-personal-add.html and
https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html.
"""

from __future__ import annotations

import re

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError

_CHAT = re.compile(r"chat([0-9]+)")


def _text(call: Call, said: str) -> str:
    text = php.to_text(call.param("MESSAGE")).strip()
    if not text:
        raise RestError("MESSAGE_EMPTY", said)
    return text


def _notify(call: Call) -> Answer:
    user = php.to_int(call.param("USER_ID"))
    if user <= 0:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty")
    return Answer(call.state.message(f"user {user}", _text(call, "Message can't be empty"), "notification"))


def _add(call: Call) -> Answer:
    dialog = php.to_text(call.param("DIALOG_ID")).strip()
    chat = _CHAT.fullmatch(dialog)
    if dialog.startswith("chat") and not (chat and int(chat[1])):
        raise RestError("CHAT_ID_EMPTY", "Chat ID can't be empty")
    if not chat and php.to_int(dialog) <= 0:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty")
    text = _text(call, "Message can't be empty")
    if chat and int(chat[1]) not in call.switches.chats:
        raise RestError("ACCESS_ERROR", "You do not have access to the specified dialog", 403)
    return Answer(call.state.message(dialog if chat else f"user {php.to_int(dialog)}", text, "message"))


def methods() -> dict[str, Method]:
    """The methods of messages by name. They write nothing into the CRM, and count as no writes."""
    return {
        "im.notify.personal.add": Method(_notify, scope="im"),
        "im.message.add": Method(_add, scope="im"),
    }
