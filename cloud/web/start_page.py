"""The start page: leads a company from nothing to its first press, each step told from what is there, live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.rules import repository as rules
from cloud.core.access import RIGHTS, Principal, Right
from cloud.core.database import Database
from cloud.core.live import Topic
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.gateways import service as gateways
from cloud.gateways.service import GatewayIdentities
from cloud.identity.service import IdentityService, Person
from cloud.web.claim_page import address_of_cloud, claim_command
from cloud.web.gateways_page import Reader
from cloud.web.live import Feeds, Snapshot, digest_of
from cloud.web.shell import Shell
from cloud.web.start_view import StartFacts, has_first_shot, steps_of
from cloud.web.streams import stream
from cloud.webhooks import repository as webhooks
from kit.clock import Clock

START = "/start"
PEOPLE_MAX = 200
"""Of so many people those are sought who may take a step."""
NAMED_MAX = 3
OPEN_CLAIMS_SHOWN = 1
ENDPOINTS_MAX = 200


@dataclass(frozen=True, slots=True)
class StartKey:
    """Who looks: what a step says depends on what its reader may do."""

    tenant: TenantId
    language: str
    rights: frozenset[Right]
    cloud: str


def include(
    app: FastAPI,
    shell: Shell,
    database: Database,
    identities: GatewayIdentities,
    people: IdentityService,
    clock: Clock,
    changes: Topic,
) -> Feeds[StartKey]:
    """Add the page; the streams of those who watch are closed by the caller."""
    page = StartPage(shell, database, identities, people, clock, changes)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(START, page.show, methods=["GET"])
    routes.add_api_route(f"/live{START}", page.live, methods=["GET"])
    app.include_router(routes)
    return page.feeds


class StartPage:
    """The handlers."""

    def __init__(
        self,
        shell: Shell,
        database: Database,
        identities: GatewayIdentities,
        people: IdentityService,
        clock: Clock,
        changes: Topic,
    ) -> None:
        self._shell = shell
        self._database = database
        self._identities = identities
        self._people = people
        self._clock = clock
        self.feeds: Feeds[StartKey] = Feeds(self._snapshot, changes, clock)

    async def show(self, request: Request, principal: Reader) -> Response:
        """The steps as they stand."""
        key = self._key(request, principal)
        snapshot = await self._snapshot(key)
        return self._shell.page(
            request,
            "start.html",
            page_name="start",
            steps_html=Markup(snapshot.pieces["start-steps"]),  # noqa: S704 - our own template's output
            live_url=f"/live{START}?lang={key.language}&have={digest_of(snapshot)}",
        )

    async def live(self, request: Request, principal: Reader) -> Response:
        """The stream of the steps."""
        return stream(self.feeds, self._key(request, principal), request)

    def _key(self, request: Request, principal: Principal) -> StartKey:
        language = self._shell.catalogue(request).language
        return StartKey(TenantId(principal.tenant_id), language, principal.rights, address_of_cloud(request))

    async def _snapshot(self, key: StartKey) -> Snapshot:
        async with self._database.reading() as session:
            facts, people = await self._facts(session, key.tenant)
            claims = await gateways.open_claims(
                session, key.tenant, now_ms=self._clock.utc_ms(), limit=OPEN_CLAIMS_SHOWN
            )
        steps = steps_of(facts, key.rights, _able(people))
        html = self._shell.fragment(
            "start_steps.html",
            self._shell.catalogues[key.language],
            steps=steps,
            facts=facts,
            claim=claims[0] if claims else None,
            is_running=has_first_shot(steps),
            command=claim_command(key.cloud, "gw-1"),
        )
        return Snapshot({"start-steps": html})

    async def _facts(self, session: AsyncSession, tenant_id: TenantId) -> tuple[StartFacts, Sequence[Person]]:
        people = await self._people.people(session, tenant_id, limit=PEOPLE_MAX)
        endpoints = await webhooks.endpoints(session, tenant_id, after="", limit=ENDPOINTS_MAX)
        facts = StartFacts(
            is_claiming=self._identities.is_open,
            has_identity=await gateways.has_identity(session, tenant_id),
            fleet=await reading.beginnings(session, tenant_id),
            endpoints=sum(endpoint.is_enabled for endpoint in endpoints),
            own_rules=len(await rules.rules(session, tenant_id)),
            people=len(people),
        )
        return facts, people


def _able(people: Sequence[Person]) -> Mapping[Right, list[str]]:
    """Who of these has which right, the first few by login."""
    return {
        right: [person.name for person in people if any(right in RIGHTS[role] for role in person.roles)][:NAMED_MAX]
        for right in Right
    }
