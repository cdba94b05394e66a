"""What an endpoint may look like: each wrong field is named. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cloud.core.problems import InvalidFieldError
from cloud.webhooks.destinations import may_call
from cloud.webhooks.domain import Language, Template
from cloud.webhooks.filters import EventFilter
from cloud.webhooks.templates.services import SERVICES

NAME_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,64}$"
KIND_PATTERN: Final = r"^(alarm|maintenance|serving|tiering|entitlements|provider)\.(\*|[a-z_]{1,40})$"
RECIPIENT: Final = re.compile(r"^[^\s@<>,;:\"\\()\[\]]{1,64}@[A-Za-z0-9.-]{1,190}$")
URL_CHARACTERS_MAX: Final = 2_048
SECRET_CHARACTERS_MAX: Final = 256
RECIPIENTS_MAX: Final = 20
FILTER_ITEMS_MAX: Final = 50
ENDPOINTS_MAX: Final = 50
"""Of one tenant."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An endpoint as somebody wants it; `secret` is one of the service's, ours are made and not told."""

    name: str
    template: Template
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    recipients: tuple[str, ...] = ()
    language: Language = "zh-CN"
    time_zone: str = "UTC"
    events: EventFilter = field(default_factory=EventFilter)
    is_enabled: bool = True


def checked(draft: Draft, *, may_call_private: bool, has_mail: bool) -> Draft:
    """The draft, with the service's own address where none is needed.

    Raises:
        InvalidFieldError: a field cannot be used.
    """
    service = SERVICES[draft.template]
    _check_time_zone(draft.time_zone)
    _check_secret(draft)
    if draft.template == "email":
        if not has_mail:
            raise InvalidFieldError("body.template", "email needs [webhooks.mail] in the cloud's settings")
        _check_recipients(draft.recipients)
        if draft.url:
            raise InvalidFieldError("body.url", "is not for e-mail: give recipients")
        return draft
    if draft.recipients:
        raise InvalidFieldError("body.recipients", "are only for e-mail")
    url = draft.url or service.url
    _check_url(url, may_call_private=may_call_private)
    return replace(draft, url=url)


def _check_secret(draft: Draft) -> None:
    needs = SERVICES[draft.template].secret
    if draft.secret and needs in ("ours", "none"):
        reason = "is made here and shown once" if needs == "ours" else "has no meaning for this template"
        raise InvalidFieldError("body.secret", reason)
    if not draft.secret and needs == "theirs_needed":
        raise InvalidFieldError("body.secret", "is missing: the service's routing key")
    if not draft.secret.isprintable() or len(draft.secret) > SECRET_CHARACTERS_MAX:
        raise InvalidFieldError("body.secret", f"has at most {SECRET_CHARACTERS_MAX} characters, all printable")


def _check_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidFieldError("body.time_zone", "is not a time zone such as Asia/Shanghai") from error


def _check_recipients(recipients: Sequence[str]) -> None:
    if not 1 <= len(recipients) <= RECIPIENTS_MAX:
        raise InvalidFieldError("body.recipients", f"must be 1 to {RECIPIENTS_MAX}")
    wrong = next((one for one in recipients if not RECIPIENT.match(one) or not one.isascii()), None)
    if wrong is not None:
        raise InvalidFieldError("body.recipients", f"{wrong[:80]!r} is not an e-mail address")


def _check_url(url: str, *, may_call_private: bool) -> None:
    if not url:
        raise InvalidFieldError("body.url", "is missing")
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidFieldError("body.url", f"has at most {URL_CHARACTERS_MAX} ASCII characters and no blanks")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidFieldError("body.url", "is not an address") from error
    schemes = ("https", "http") if may_call_private else ("https",)
    if parts.scheme not in schemes or not host:
        raise InvalidFieldError("body.url", f"must be an {' or '.join(schemes)} address")
    if parts.username or parts.password:
        raise InvalidFieldError("body.url", "must not hold a user name or password")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return  # a name: looked at when it is called
    if not may_call(address, allow_private=may_call_private):
        raise InvalidFieldError("body.url", f"{address} is not a public address")
