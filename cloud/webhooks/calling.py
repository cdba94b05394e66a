"""One signed call: the headers of Standard Webhooks, an address that was looked at first, and bounds on the answer."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
import httpx
from standardwebhooks.webhooks import Webhook

from cloud.webhooks.destinations import DestinationRefusedError, resolve
from cloud.webhooks.domain import ANSWER_BYTES_MAX, Answer
from cloud.webhooks.service import Endpoint

CALL_S_MAX = 10.0
USER_AGENT = "zhisan-webhooks"


@dataclass(frozen=True, slots=True)
class Call:
    """What is called out; `message_id` and `body` are the same in every try."""

    message_id: str
    body: str


def trusted_roots() -> ssl.SSLContext:
    """What certificates are checked against; slow to make, so made once."""
    return httpx.create_ssl_context()


async def call(endpoint: Endpoint, message: Call, now_ms: int, tls: ssl.SSLContext) -> Answer:
    """Make the call; every way in which the world can refuse it is an answer with an error, within CALL_S_MAX."""
    try:
        with anyio.fail_after(CALL_S_MAX):
            return await _call(endpoint, message, now_ms, tls)
    except TimeoutError:
        return Answer(error=f"no answer within {CALL_S_MAX:g} s")
    except DestinationRefusedError as error:
        return Answer(error=str(error))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(error=f"{type(error).__name__}: {error}".rstrip(": "))


def signed_headers(secret: str, message: Call, now_ms: int) -> dict[str, str]:
    """The three headers; receivers refuse a timestamp that is minutes off, so each try is signed anew."""
    signed_at = datetime.fromtimestamp(now_ms // 1000, UTC)
    return {
        "webhook-id": message.message_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": Webhook(secret).sign(message.message_id, signed_at, message.body),
    }


async def _call(endpoint: Endpoint, message: Call, now_ms: int, tls: ssl.SSLContext) -> Answer:
    url = httpx.URL(endpoint.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    address = await resolve(url.host, port, allow_private=endpoint.allow_private_addresses)
    headers = {
        "host": url.netloc.decode(),
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        **signed_headers(endpoint.secret, message, now_ms),
    }
    # The connection goes to the address that was looked at; certificate and Host are those of the name.
    async with (
        httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, timeout=CALL_S_MAX) as client,
        client.stream(
            "POST",
            url.copy_with(host=address),
            content=message.body.encode(),
            headers=headers,
            extensions={"sni_hostname": url.host},
        ) as response,
    ):
        return Answer(response.status_code, await _first_bytes(response))


async def _first_bytes(response: httpx.Response) -> str:
    """The beginning of the body as text; the rest is not read."""
    found = b""
    async for chunk in response.aiter_raw(ANSWER_BYTES_MAX):
        found += chunk
        if len(found) >= ANSWER_BYTES_MAX:
            break
    return found[:ANSWER_BYTES_MAX].decode("utf-8", "replace").replace("\x00", "")
