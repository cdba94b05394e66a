"""Whether the ingest hears what gateways send: the host's STATE says online only while it does."""

import anyio


class Listening:
    """A switch that tasks of one loop can wait for; on while the broker has granted the ingest's subscriptions."""

    def __init__(self) -> None:
        self._came, self._lost = anyio.Event(), anyio.Event()
        self._lost.set()

    @property
    def is_on(self) -> bool:
        """Whether the subscriptions stand now."""
        return self._came.is_set()

    def turn(self, *, on: bool) -> None:
        """Set it, and wake those who wait for that."""
        if on == self.is_on:
            return
        if on:
            self._came.set()
            self._lost = anyio.Event()
        else:
            self._lost.set()
            self._came = anyio.Event()

    async def came(self) -> None:
        """Wait until it is on."""
        await self._came.wait()

    async def lost(self) -> None:
        """Wait until it has been off, however short that was."""
        await self._lost.wait()
