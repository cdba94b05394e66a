"""Messages for the group robots of Feishu, DingTalk and WeCom, and for Slack's incoming webhooks.

Wire formats are those of the services' public documentation; a robot that was made with a secret gets signed calls.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from cloud.webhooks.message import Effect, Message, advice_of, effect_of, lines_of, title_of
from cloud.webhooks.templates.rendering import Context, Rendering, as_json, cut, cut_bytes, plain

FEISHU_TEXT_BYTES_MAX: Final = 6_000
"""Of a request of at most 20 kB; JSON may double it."""
DINGTALK_TEXT_BYTES_MAX: Final = 6_000
"""Of a request of at most 20,000 bytes."""
WECOM_TEXT_BYTES_MAX: Final = 4_096
SLACK_SECTION_CHARACTERS_MAX: Final = 3_000
SLACK_HEADER_CHARACTERS_MAX: Final = 150
TITLE_CHARACTERS_MAX: Final = 120
_FEISHU_COLOURS: Final[Mapping[Effect, str]] = {"trigger": "red", "acknowledge": "orange", "resolve": "green"}
_WECOM_COLOURS: Final[Mapping[Effect, str]] = {"trigger": "warning", "acknowledge": "comment", "resolve": "info"}


def render_feishu(message: Message, context: Context) -> Rendering:
    """An interactive card whose texts are plain: no name or comment can mention people."""
    t = context.texts
    lines = [f"{label}: {value}" for label, value in lines_of(message, t, context.zone)]
    advice = advice_of(message, t)
    text = "\n".join([*lines, *([advice] if advice else [])])
    elements: list[dict[str, Any]] = [
        {"tag": "div", "text": {"tag": "plain_text", "content": cut_bytes(text, FEISHU_TEXT_BYTES_MAX)}}
    ]
    if context.link:
        button = {"tag": "plain_text", "content": t("message.open")}
        actions = [{"tag": "button", "text": button, "url": context.link, "type": "default"}]
        elements.append({"tag": "action", "actions": actions})
    title = {"tag": "plain_text", "content": cut(title_of(message, t), TITLE_CHARACTERS_MAX)}
    card = {
        "config": {"wide_screen_mode": True},
        "header": {"title": title, "template": _FEISHU_COLOURS[effect_of(message)]},
        "elements": elements,
    }
    return as_json({**_feishu_signature(context), "msg_type": "interactive", "card": card})


def _feishu_signature(context: Context) -> dict[str, str]:
    """Seconds and secret are the key, and nothing is what is signed."""
    if not context.secrets:
        return {}
    timestamp = str(context.now_ms // 1000)
    return {"timestamp": timestamp, "sign": _hmac(f"{timestamp}\n{context.secrets[0]}", "")}


def render_dingtalk(message: Message, context: Context) -> Rendering:
    """Markdown; the signature goes into the query."""
    title = cut(plain(title_of(message, context.texts)), TITLE_CHARACTERS_MAX)
    text = cut_bytes("\n\n".join([f"### {title}", *_marked_lines(message, context, "**{}**")]), DINGTALK_TEXT_BYTES_MAX)
    content = {"msgtype": "markdown", "markdown": {"title": title, "text": text}}
    rendering = as_json(content)
    return Rendering(rendering.headers, rendering.body, _dingtalk_signature(context))


def _dingtalk_signature(context: Context) -> dict[str, str]:
    """Milliseconds and secret are signed, with the secret as the key."""
    if not context.secrets:
        return {}
    timestamp, secret = str(context.now_ms), context.secrets[0]
    return {"timestamp": timestamp, "sign": _hmac(secret, f"{timestamp}\n{secret}")}


def render_wecom(message: Message, context: Context) -> Rendering:
    """Markdown with one of the three colours that the service knows."""
    title = cut(plain(title_of(message, context.texts)), TITLE_CHARACTERS_MAX)
    head = f'<font color="{_WECOM_COLOURS[effect_of(message)]}">{title}</font>'
    text = "\n".join([head, *(f"> {line}" for line in _marked_lines(message, context, "{}"))])
    content = {"content": cut_bytes(text, WECOM_TEXT_BYTES_MAX)}
    return as_json({"msgtype": "markdown", "markdown": content})


def render_slack(message: Message, context: Context) -> Rendering:
    """Blocks, and the same as plain text for notifications; the three signs that Slack reads as markup are escaped."""
    title = title_of(message, context.texts)
    lines = [f"*{_slack(label)}*: {_slack(value)}" for label, value in lines_of(message, context.texts, context.zone)]
    advice = advice_of(message, context.texts)
    lines += [_slack(advice)] if advice else []
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(title, SLACK_HEADER_CHARACTERS_MAX)}},
        {"type": "section", "text": {"type": "mrkdwn", "text": cut("\n".join(lines), SLACK_SECTION_CHARACTERS_MAX)}},
    ]
    if context.link:
        button = {"type": "plain_text", "text": context.texts("message.open")}
        blocks.append({"type": "actions", "elements": [{"type": "button", "text": button, "url": context.link}]})
    return as_json({"text": _slack(cut(title, SLACK_SECTION_CHARACTERS_MAX)), "blocks": blocks})


def _marked_lines(message: Message, context: Context, mark: str) -> list[str]:
    t = context.texts
    lines = [f"{mark.format(label)}: {plain(value)}" for label, value in lines_of(message, t, context.zone)]
    advice = advice_of(message, t)
    return [
        *lines,
        *([plain(advice)] if advice else []),
        *([f"[{t('message.open')}]({context.link})"] if context.link else []),
    ]


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _hmac(key: str, signed: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()).decode()
