"""The acknowledge button of alarms, on whatever page it stands."""

from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.tenants import TenantId
from cloud.web.facts import PageFacts
from cloud.web.shell import HEADERS, Shell

SHAPES = ("row", "card")
Acknowledger = Annotated[Principal, requires(Right.ACKNOWLEDGE)]


class Lists:
    """The handlers of the list pages."""

    def __init__(self, shell: Shell, facts: PageFacts) -> None:
        self._shell = shell
        self._facts = facts

    async def acknowledge(self, request: Request, principal: Acknowledger, alarm_id: str) -> Response:
        """Acknowledge one alarm; htmx gets its new look, a plain form is sent back to where it was."""
        t = self._shell.catalogue(request)
        alarm = await self._facts.acknowledge(TenantId(principal.tenant_id), alarm_id, actor_of(request))
        if alarm is None:
            detail = t("alarms.unknown", alarm=alarm_id)
            return self._shell.problem(request, status=404, title=t("alarms.unknown_title"), detail=detail)
        if request.headers.get("hx-request") != "true":
            return RedirectResponse(back_to(request, "/alarms"), status_code=303)
        shape = request.query_params.get("as", "")
        shape = shape if shape in SHAPES else "card"
        verdicts = await self._facts.verdicts(TenantId(principal.tenant_id), [alarm])
        html = self._shell.fragment("alarm_answer.html", t, alarm=alarm, shape=shape, verdicts=verdicts)
        return HTMLResponse(html, headers=dict(HEADERS))


def link_to(path: str, current: Mapping[str, str]) -> Callable[..., str]:
    """What makes a link to the page with some of its query changed; empty values are left out."""

    def link(**changes: str) -> str:
        query = {name: value for name, value in {**current, **changes}.items() if value}
        return f"{path}?{urlencode(query)}" if query else path

    return link


def back_to(request: Request, default: str) -> str:
    """The path of the page that sent the form; only a path, so that nobody is sent to a foreign site."""
    referrer = urlsplit(request.headers.get("referer", ""))
    is_ours = referrer.netloc == request.headers.get("host") and referrer.path.startswith("/")
    path = "/" + referrer.path.lstrip("/")
    return (f"{path}?{referrer.query}" if referrer.query else path) if is_ours else default
