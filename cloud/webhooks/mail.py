"""Events as e-mail: plain text and HTML in one message, sent to the relay that the settings name."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final, Literal

import aiosmtplib
import anyio

from cloud.webhooks.domain import ANSWER_BYTES_MAX, Answer, Target
from cloud.webhooks.message import Message, advice_of, effect_of, lines_of, title_of
from cloud.webhooks.templates.rendering import Context, cut, cut_bytes

Security = Literal["starttls", "tls", "none"]
SUBJECT_CHARACTERS_MAX: Final = 150
TEXT_BYTES_MAX: Final = 20_000
LOGGED_HEADERS: Final = frozenset({"from", "to", "subject", "message-id", "date"})
_COLOURS: Final = {"trigger": "#ac1f18", "acknowledge": "#7a4d00", "resolve": "#0b6e62"}


@dataclass(frozen=True, slots=True)
class MailRelay:
    """The SMTP server that takes our mail; with `starttls` and `tls` its certificate is checked."""

    host: str
    port: int
    security: Security
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None


def compose(message: Message, context: Context, target: Target, sender: str) -> EmailMessage:
    """The mail for a message: `Message-ID` is the same in every try, and mails of one alarm form a thread."""
    t = context.texts
    title = title_of(message, t).replace("\n", " ")
    lines = lines_of(message, t, context.zone)
    advice = advice_of(message, t)
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    email = EmailMessage(policy=SMTP)
    email["From"], email["To"] = sender, ", ".join(target.recipients)
    email["Subject"] = cut(title, SUBJECT_CHARACTERS_MAX)
    email["Message-ID"] = f"<{context.message_id}@{domain}>"
    email["Date"] = format_datetime(datetime.fromtimestamp(message.occurred_ms / 1000, UTC))
    email["Auto-Submitted"] = "auto-generated"
    if message.alarm_id:
        email["References"] = f"<alarm-{message.alarm_id}@{domain}>"
    text = "\n".join([title, "", *(f"{label}: {value}" for label, value in lines), "", advice, context.link])
    email.set_content(cut_bytes(text.rstrip(), TEXT_BYTES_MAX) + "\n")
    email.add_alternative(_html(message, context, title, lines, advice), subtype="html")
    return email


def plain_text_of(email: EmailMessage) -> str:
    """The text part of a mail."""
    part = email.get_body(("plain",))
    return str(part.get_content()) if part is not None else ""


async def send(relay: MailRelay, email: EmailMessage, recipients: Sequence[str], *, seconds_max: float) -> Answer:
    """Hand a mail to the relay; its reply code is the answer's status.

    A relay that takes some recipients and refuses others has taken the mail: sent again, it would come twice to some.
    """
    try:
        with anyio.fail_after(seconds_max):
            refused, reply = await aiosmtplib.send(
                email,
                recipients=list(recipients),
                hostname=relay.host,
                port=relay.port,
                use_tls=relay.security == "tls",
                start_tls=relay.security == "starttls",
                username=relay.username or None,
                password=relay.password or None,
                cert_bundle=relay.ca_file,
                timeout=seconds_max,
            )
    except TimeoutError:
        return Answer(error=f"the mail relay {relay.host} did not take the mail within {seconds_max:g} s")
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
        return Answer(error=_told(relay, f"no recipient was taken: {codes}"))
    except aiosmtplib.SMTPResponseException as error:
        return Answer(error.code if error.code > 0 else None, error=_told(relay, f"{error.code} {error.message}"))
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return Answer(error=_told(relay, f"the mail relay {relay.host}: {error}"))
    told = "; ".join(f"{recipient} was refused: {answer}" for recipient, answer in refused.items())
    return Answer(250, _told(relay, told or reply))


async def fault_of(relay: MailRelay, *, seconds_max: float) -> str:
    """What keeps the relay from taking our mail, as far as signing in shows it; empty when nothing does."""
    client = aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        use_tls=relay.security == "tls",
        start_tls=relay.security == "starttls",
        username=relay.username or None,
        password=relay.password or None,
        cert_bundle=relay.ca_file,
        timeout=seconds_max,
    )
    try:
        with anyio.fail_after(seconds_max):
            async with client:
                await client.noop()
    except TimeoutError:
        return f"{relay.host} does not answer within {seconds_max:g} s"
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return _told(relay, f"{relay.host}:{relay.port}: {error}")
    return ""


def _told(relay: MailRelay, text: str) -> str:
    """What a relay says, cut short; a relay that repeats the password is not repeated."""
    if relay.password:
        text = text.replace(relay.password, "***")
    return cut_bytes(text.replace("\x00", ""), ANSWER_BYTES_MAX)


def _html(message: Message, context: Context, title: str, lines: Sequence[tuple[str, str]], advice: str) -> str:
    rows = "".join(
        f'<tr><th align="left" style="padding:4px 16px 4px 0;font-weight:normal">{html.escape(label)}</th>'
        f'<td style="padding:4px 0">{html.escape(value)}</td></tr>'
        for label, value in lines
    )
    note = f'<p style="max-width:40em">{html.escape(advice)}</p>' if advice else ""
    link = (
        f'<p><a href="{html.escape(context.link, quote=True)}">{html.escape(context.texts("message.open"))}</a></p>'
        if context.link
        else ""
    )
    return (
        '<!doctype html><html><body style="font-family:system-ui,sans-serif;color:#1b2025">'
        f'<h1 style="font-size:18px;border-left:6px solid {_COLOURS[effect_of(message)]};padding-left:10px">'
        f"{html.escape(title)}</h1><table>{rows}</table>{note}{link}</body></html>"
    )
