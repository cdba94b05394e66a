"""One try at a call: an address that was looked at first, bounds on time and answer, and nothing secret in its log."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

import anyio
import httpx

from cloud.alarms.naming import Texts
from cloud.core.spans import Spans, no_span
from cloud.webhooks import mail
from cloud.webhooks.destinations import DestinationRefusedError, resolve
from cloud.webhooks.domain import ANSWER_BYTES_MAX, Answer, Attempt, Target
from cloud.webhooks.mail import MailRelay
from cloud.webhooks.masking import masked, masked_headers, secrets_of, shown_url
from cloud.webhooks.message import Message
from cloud.webhooks.templates.rendering import Context, Rendering
from cloud.webhooks.templates.services import SERVICES
from kit.clock import Clock

CONNECT_S_MAX: Final = 5.0
CALL_S_MAX: Final = 10.0
USER_AGENT: Final = "zhisan-webhooks"
KEPT_ANSWER_HEADERS: Final = ("content-type", "retry-after", "location", "server", "date")
HEADER_CHARACTERS_MAX: Final = 256
Lookup = Callable[..., Awaitable[str]]


def trusted_roots() -> ssl.SSLContext:
    """What certificates are checked against; slow to make, so made once."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a try sent and what came back, not yet masked."""

    url: str
    headers: Mapping[str, str]
    body: str
    answer: Answer


class Caller:
    """Makes calls; safe to use from many tasks at once."""

    def __init__(
        self,
        clock: Clock,
        texts: Mapping[str, Texts],
        *,
        relay: MailRelay | None = None,
        link: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        lookup: Lookup = resolve,
        spans: Spans = no_span,
    ) -> None:
        self._clock = clock
        self._texts = texts
        self.relay = relay
        self._link = link
        self._transport = transport
        self._lookup = lookup
        self._span = spans
        self._tls = trusted_roots()

    async def attempt(self, target: Target, message: Message, message_id: str) -> Attempt:
        """Make one try; every way in which the world can refuse it is an answer with an error, within CALL_S_MAX."""
        started_ms, started_s = self._clock.utc_ms(), self._clock.monotonic_s()
        context = Context(
            message_id, started_ms, target.secrets, self._texts[target.language], ZoneInfo(target.time_zone), self._link
        )
        send = self._mail if target.template == "email" else self._post
        with self._span("webhook.call", template=target.template, kind=message.kind, message_id=message_id):
            sent = await send(target, message, context)
        secrets = secrets_of(target)
        is_secret = SERVICES[target.template].is_url_secret
        answer = replace(
            sent.answer,
            body=masked(sent.answer.body, secrets),
            error=masked(sent.answer.error, secrets),
            headers=masked_headers(sent.answer.headers, secrets),
        )
        return Attempt(
            started_ms=started_ms,
            duration_ms=round((self._clock.monotonic_s() - started_s) * 1000),
            url=shown_url(sent.url, is_secret=is_secret) if sent.url else "",
            request_headers=masked_headers(sent.headers, secrets),
            request_body=_masked_body(sent.body, target, secrets),
            answer=answer,
        )

    async def _post(self, target: Target, message: Message, context: Context) -> _Sent:
        render = SERVICES[target.template].render
        assert render is not None, "only e-mail is not rendered"
        rendering = render(message, context)
        headers = {**rendering.headers, "user-agent": USER_AGENT, "accept-encoding": "identity"}
        try:
            with anyio.fail_after(CALL_S_MAX):
                answer = await self._exchange(target, rendering, headers)
        except TimeoutError:
            answer = Answer(error=f"no answer within {CALL_S_MAX:g} s")
        except DestinationRefusedError as error:
            answer = Answer(error=str(error))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = Answer(error=f"{type(error).__name__}: {error}".rstrip(": "))
        return _Sent(target.url, headers, rendering.body, answer)

    async def _exchange(self, target: Target, rendering: Rendering, headers: Mapping[str, str]) -> Answer:
        url = httpx.URL(target.url)
        if rendering.query:
            url = url.copy_merge_params(dict(rendering.query))
        port = url.port or (443 if url.scheme == "https" else 80)
        address = await self._lookup(url.host, port, allow_private=target.may_call_private)
        # The connection goes to the address that was looked at; certificate and Host are those of the name.
        async with (
            httpx.AsyncClient(
                verify=self._tls,
                transport=self._transport,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(CALL_S_MAX, connect=CONNECT_S_MAX),
            ) as client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=rendering.body.encode(),
                headers={"host": url.netloc.decode(), **headers},
                extensions={"sni_hostname": url.host},
            ) as response,
        ):
            kept = {
                name: response.headers[name][:HEADER_CHARACTERS_MAX]
                for name in KEPT_ANSWER_HEADERS
                if name in response.headers
            }
            retry_after = response.headers.get("retry-after", "")[:HEADER_CHARACTERS_MAX]
            return Answer(response.status_code, await _first_bytes(response), retry_after=retry_after, headers=kept)

    async def _mail(self, target: Target, message: Message, context: Context) -> _Sent:
        if self.relay is None:
            return _Sent("", {}, "", Answer(error="the cloud's settings name no mail relay any more: [webhooks.mail]"))
        email = mail.compose(message, context, target, self.relay.sender)
        answer = await mail.send(self.relay, email, target.recipients, seconds_max=CALL_S_MAX)
        headers = {name: str(value) for name, value in email.items() if name.lower() in mail.LOGGED_HEADERS}
        return _Sent("", headers, mail.plain_text_of(email), answer)


def _masked_body(body: str, target: Target, secrets: tuple[str, ...]) -> str:
    """A body without the secrets; Feishu's signature stands in it and is shown as little as the others."""
    if target.template == "feishu" and target.secrets:
        start = body.find('"sign":"')
        end = body.find('"', start + 8)
        if start >= 0:
            body = f"{body[: start + 8]}***{body[end:]}"
    return masked(body, secrets)


async def _first_bytes(response: httpx.Response) -> str:
    """The beginning of the body as text; the rest is not read."""
    found = b""
    async for chunk in response.aiter_raw(ANSWER_BYTES_MAX):
        found += chunk
        if len(found) >= ANSWER_BYTES_MAX:
            break
    return found[:ANSWER_BYTES_MAX].decode("utf-8", "replace").replace("\x00", "")
