"""The parts of webhooks, wired."""

import random
from collections.abc import Mapping
from pathlib import Path

from cloud.alarms.naming import Texts
from cloud.core.database import Database
from cloud.core.live import Live
from cloud.core.spans import Spans, no_span
from cloud.webhooks.calling import Caller
from cloud.webhooks.domain import FIRST_RETRY_S
from cloud.webhooks.endpoints import EndpointService
from cloud.webhooks.jobs import WebhookSender
from cloud.webhooks.mail import MailRelay
from cloud.webhooks.sealing import sealer_in
from cloud.webhooks.service import WebhookService
from cloud.webhooks.testing import EndpointTester
from kit.clock import Clock


class WebhookParts:
    """The outbox, the endpoints, the sender and the test button; `folder` keeps the key of the secrets."""

    def __init__(
        self,
        database: Database,
        live: Live,
        clock: Clock,
        randomness: random.Random,
        texts: Mapping[str, Texts],
        *,
        folder: Path,
        first_retry_s: float = FIRST_RETRY_S,
        may_call_private: bool = False,
        relay: MailRelay | None = None,
        link: str = "",
        spans: Spans = no_span,
    ) -> None:
        self.database = database
        self.texts = texts
        self.link = link
        self.clock = clock
        sealer = sealer_in(folder)
        caller = Caller(clock, texts, relay=relay, link=link, spans=spans)
        self.service = WebhookService(live, clock, randomness, first_retry_s=first_retry_s)
        self.endpoints = EndpointService(
            self.service, sealer, live, clock, may_call_private=may_call_private, has_mail=relay is not None
        )
        self.sender = WebhookSender(database, self.service, caller, sealer, live, clock)
        self.tester = EndpointTester(database, self.endpoints, self.service, caller, sealer, clock)
