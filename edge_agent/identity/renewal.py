"""Renews the certificate before it ends: when to try is a pure rule, the trying is a task."""

import random
from collections.abc import Awaitable, Callable

import anyio
import structlog
from anyio import to_thread

from edge_agent.identity import cloud_calls
from edge_agent.identity.files import Identity, IdentityError, IdentityFiles
from kit.clock import Clock

SHARE_LEFT = 1 / 3
"""A certificate is renewed when less than this share of its life is left: 30 of 90 days, time for many tries."""
CHECK_EVERY_S = 3600.0
"""The wall clock may step: when a renewal is due is looked at anew this often."""
RETRY_S_MIN, RETRY_S_MAX = 60.0, 6 * 3600.0
log = structlog.get_logger()


def due_ms(lifetime_ms: tuple[int, int]) -> int:
    """From when on a certificate is to be renewed."""
    begins_ms, ends_ms = lifetime_ms
    return round(ends_ms - (ends_ms - begins_ms) * SHARE_LEFT)


def pause_s(tries: int, chance: float) -> float:
    """How long to wait after `tries` failures in a row: doubling from a minute to six hours, spread by half.

    `chance` is in 0..1; gateways that one outage has stopped do not come back in step.
    """
    assert tries >= 1
    longest_s = min(RETRY_S_MAX, RETRY_S_MIN * 2.0 ** min(tries - 1, 20))
    return longest_s * (0.5 + 0.5 * chance)


class Renewal:
    """The task; `rejoin` makes the broker connection anew with the files that lie there then."""

    def __init__(
        self,
        files: IdentityFiles,
        clock: Clock,
        randomness: random.Random,
        rejoin: Callable[[], Awaitable[None]],
        *,
        ask: Callable[[Identity, int], Identity] = cloud_calls.renew,
        check_every_s: float = CHECK_EVERY_S,
    ) -> None:
        self._files = files
        self._clock = clock
        self._randomness = randomness
        self._rejoin = rejoin
        self._ask = ask
        self._check_every_s = check_every_s
        self._tries = 0

    async def run(self) -> None:
        """Serve until cancelled; a gateway that was never claimed has nothing to renew."""
        while True:
            wait_s = await self.step()
            await anyio.sleep(wait_s)

    async def step(self) -> float:
        """Renew when it is time to; the seconds until the next look."""
        if not await to_thread.run_sync(self._files.exist):
            return self._check_every_s
        try:
            is_new = await to_thread.run_sync(self._renew)
        except IdentityError as error:
            self._tries += 1
            wait_s = pause_s(self._tries, self._randomness.random())
            log.warning("certificate_renewal_failed", error=str(error), tries=self._tries, retry_in_s=round(wait_s))
            return wait_s
        self._tries = 0
        if is_new:
            await self._rejoin()
        return self._check_every_s

    def _renew(self) -> bool:
        old = self._files.read()
        now_ms = self._clock.utc_ms()
        if now_ms < due_ms(old.lifetime_ms):
            return False
        new = self._ask(old, now_ms)
        self._files.write(new)
        log.info("certificate_renewed", expires_ms=new.lifetime_ms[1])
        return True
