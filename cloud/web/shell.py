"""Renders templates in the reader's language, inside the common shell, with headers that let no foreign script run."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import structlog
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cloud.alarms import naming
from cloud.core.access import principal_of
from cloud.fleet.names import PlantNames
from cloud.web import numbers, wording
from cloud.web.call_errors import call_error
from cloud.web.translation import LANGUAGES, Catalogue, choose_language, load_catalogues
from kit.clock import Clock

log = structlog.get_logger()

HERE = Path(__file__).parent
STATIC = HERE / "static"
DIST = STATIC / "dist"
LANGUAGE_COOKIE = "language"
THEME_COOKIE = "theme"
THEMES = ("auto", "light", "dark")
"""`auto`: as the reader's system has it."""
COOKIE_AGE_S = 365 * 24 * 3600
SIGNS_MAX = 1_024
"""Icons, tones and bars of gauges that are kept rendered, of each."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language, Cookie",
}


class Shell:
    """Jinja with our texts, numbers and words; blocking only when it is made."""

    def __init__(self, clock: Clock, names: PlantNames | None = None) -> None:
        self.clock = clock
        self.catalogues = load_catalogues()
        self._assets = _assets_version()
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        for name in ("number", "percent", "change", "deviation", "iso", "utc_text"):
            self._environment.filters[name] = getattr(numbers, name)
        self._environment.filters["plant"] = (names or PlantNames()).of
        for name in ("icon", "tone", "gauge_bar"):  # a macro call costs 15 us; 300 tiles make 1,500 of the same few
            self._environment.globals[f"{name}_of"] = lru_cache(SIGNS_MAX)(self._part(name))

    def _part(self, name: str) -> Callable[..., str]:
        """A macro of the parts, found when it is called: a template sees the globals of the time of its loading."""

        def part(*arguments: object) -> str:
            macro: Callable[..., str] = getattr(self._environment.get_template("parts.html").module, name)
            return macro(*arguments)

        return part

    def catalogue(self, request: Request) -> Catalogue:
        """The catalogue of the reader's language."""
        reader = principal_of(request)
        language = choose_language(
            request.query_params.get("lang"),
            (reader.language if reader is not None else "") or request.cookies.get(LANGUAGE_COOKIE),
            request.headers.get("accept-language", ""),
        )
        return self.catalogues[language]

    def page(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A whole page; a language asked by `?lang=` is remembered."""
        t = self.catalogue(request)
        html = self.fragment(
            template,
            t,
            request=request,
            now_ms=self.clock.utc_ms(),
            assets=self._assets,
            language_links=_language_links(request),
            theme=_theme(request),
            **values,
        )
        response = HTMLResponse(html, status_code=status, headers=dict(HEADERS))
        if request.query_params.get("lang"):
            response.set_cookie(LANGUAGE_COOKIE, t.language, max_age=COOKIE_AGE_S, samesite="lax", httponly=True)
        return response

    def problem(self, request: Request, *, status: int, title: str, detail: str) -> HTMLResponse:
        """A page that says what is wrong and leads back."""
        return self.page(
            request, "problem.html", status=status, page_name="problem", title=title, detail=detail, way_out=None
        )

    def fragment(self, template: str, t: Catalogue, **values: object) -> str:
        """A template without the shell: what a live stream or an htmx answer swaps in."""
        return self._environment.get_template(template).render(t=t, words=_Words(t), **values)


class _About(Protocol):
    """An alarm, or the point of alarms."""

    @property
    def kind(self) -> str: ...

    @property
    def mode(self) -> str: ...


class _Words:
    """The words for names that come from data, bound to one language, for templates."""

    def __init__(self, t: Catalogue) -> None:
        self._t = t

    def mode(self, mode: str) -> str:
        return naming.mode_name(self._t, mode)

    def alarm(self, alarm: _About) -> str:
        """See `naming.alarm_name`; of an alarm or its point."""
        return naming.alarm_name(self._t, alarm.kind, alarm.mode)

    def subject(self, kind: str, mode: str) -> str:
        """The same of an alarm that there would have been."""
        return naming.alarm_name(self._t, kind, mode)

    def measure(self, name: str) -> str:
        """See `wording.measure_name`."""
        return wording.measure_name(self._t, name)

    def score(self, key: str) -> str:
        return naming.score_name(self._t, key)

    def advice(self, mode: str) -> str | None:
        return wording.mode_advice(self._t, mode)

    def quantity(self, name: str) -> str:
        return wording.quantity_name(self._t, name)

    def unit(self, name: str) -> str:
        return wording.quantity_unit(name)

    def feature(self, name: str) -> str:
        return naming.feature_name(self._t, name)

    def call_error(self, told: str) -> str:
        return call_error(self._t, told)

    def quality(self, name: str) -> str:
        return naming.quality_name(self._t, name)

    def factors(self, names: Iterable[str]) -> str:
        """The names of OEE's factors in a row."""
        return self._t("feature_join").join(self._t(f"oee.word.{name}") for name in names)

    def plan(self, entitlement: str, value: object) -> str:
        """See `wording.plan_value`."""
        return wording.plan_value(self._t, entitlement, value)

    def known(self, prefix: str, name: str) -> str:
        return self._t.find(f"{prefix}.{name}") or naming.spaced(name)

    def html(self, key: str) -> Markup:
        """A catalogue text with markup of its own (our file, never data)."""
        return Markup(self._t(key))  # noqa: S704


def _theme(request: Request) -> str:
    """As the reader's account has it, else as the browser remembers."""
    reader = principal_of(request)
    told = (reader.theme if reader is not None else ""), request.cookies.get(THEME_COOKIE, "")
    return next((theme for theme in told if theme in THEMES), THEMES[0])


def _language_links(request: Request) -> list[tuple[str, str]]:
    return [(language, str(request.url.include_query_params(lang=language).query)) for language in LANGUAGES]


def _assets_version() -> str | None:
    """A hash over the built files, so that a browser's cache never mixes two versions; None when they are not built."""
    digest = hashlib.sha256()
    try:
        for name in ("app.js", "app.css"):
            digest.update((DIST / name).read_bytes())
    except FileNotFoundError:
        log.warning("web_assets_missing", folder=str(DIST), remedy="make web")
        return None
    return digest.hexdigest()[:12]
