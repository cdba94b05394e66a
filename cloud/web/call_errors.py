"""Why a webhook call or a mail did not arrive, in the reader's language. Pure."""

import re
from typing import Final

from cloud.web.translation import Catalogue

KNOWN: Final = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"no answer within (?P<seconds>\S+) s", "no_answer"),
        (r"(?P<host>.+) is not called: its name was not resolved within (?P<seconds>\S+) s", "not_resolved"),
        (r"(?P<host>.+) is not called: its name has no address", "no_address"),
        (r"(?P<host>.+) is not called: (?P<address>\S+) is not a public address", "not_public"),
        (r"ConnectTimeout.*", "connect_timeout"),
        (r"ConnectError(: (?P<detail>.*))?", "connect"),
        (r"(Read|Write)(Error|Timeout)(: (?P<detail>.*))?", "broken"),
        (r"RemoteProtocolError(: (?P<detail>.*))?", "protocol"),
        (r"the cloud's settings name no mail relay any more.*", "no_relay"),
        (r"the mail relay (?P<host>\S+) did not take the mail within (?P<seconds>\S+) s", "relay_slow"),
        (r"the mail relay (?P<host>[^:\s]+): (?P<detail>.*)", "relay"),
        (r"the endpoint's secrets were sealed with another key than (?P<file>.*): set them anew", "sealed"),
        (r"the answer has no (?P<field>\S+): it is not the service's", "foreign_answer"),
        (r"no recipient was taken: (?P<detail>.*)", "no_recipient"),
    )
)
"""The texts of `cloud.webhooks` and of its HTTP library, and the catalogue's word for each."""


def call_error(t: Catalogue, told: str) -> str:
    """The reason in words; what a receiver or a library says of itself stays as it is."""
    for pattern, key in KNOWN:
        found = pattern.fullmatch(told)
        if found is not None:
            facts = {name: value or "" for name, value in found.groupdict().items()}
            return t(f"webhooks.error.{key}", **facts).rstrip(": \uff1a")
    return told
