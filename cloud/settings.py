"""The cloud's one TOML file: every key, its default and what it means."""

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, HttpUrl, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.policy import MINUTE_MS, AlarmPolicy
from cloud.core.database import postgresql_url, sqlite_url
from cloud.core.limits import Limits
from cloud.fleet.domain import FleetRules
from cloud.gateways.domain import DAY_MS, GatewayRules
from cloud.identity.domain import HOUR_MS, SessionRules
from cloud.identity.oidc_settings import OidcSettings
from cloud.production.windows import Schedule
from cloud.self_service.settings import SignupSettings
from cloud.webhooks.domain import FIRST_RETRY_S, ConfiguredEndpoint
from cloud.webhooks.mail import MailRelay
from contract.alarming import AlarmRules
from kit.errors import ZhisanError
from kit.mqtt import BrokerSettings
from kit.settings import Settings

ENVIRONMENT_PREFIX = "ZHISAN_CLOUD__"
DATABASE_FILE = "cloud.sqlite"
TELEMETRY_FILE = "telemetry.duckdb"
ENDPOINTS_MAX = 50
SECRET_PREFIX = "whsec_"  # noqa: S105 - the form of a secret, not one
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
HostId = Annotated[str, Field(pattern=r"^[^\s+#/\x00-\x1f]{1,64}$")]


class SecretError(ZhisanError):
    """An endpoint's secret is missing or is none; the message never holds it."""

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"webhooks.endpoints {endpoint}: {reason}")
        self.endpoint = endpoint


class WebSettings(Settings):
    """Where pages and API are served."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8000, ge=1, le=65_535, description="TCP port to listen on.")

    def url(self) -> str:
        """Where a browser on this machine finds the pages."""
        return f"http://{'127.0.0.1' if self.host in ('0.0.0.0', '::') else self.host}:{self.port}"  # noqa: S104


class StorageSettings(Settings):
    """Where data lie."""

    dir: Path = Field(description="Folder of the databases; must survive restarts, and is used by one cloud only.")
    postgresql: str = Field(
        "",
        description="`postgresql://user@host:port/name` keeps all but telemetry there and not in SQLite, for one cloud "
        "only; the password comes by PGPASSWORD or ~/.pgpass.",
    )

    @field_validator("postgresql")
    @classmethod
    def _is_postgresql(cls, url: str) -> str:
        try:
            if url:
                postgresql_url(url)
        except ArgumentError as error:
            raise ValueError("is not of the form postgresql://user@host:port/name") from error
        return url

    def database_url(self) -> URL:
        """Where the relational database is."""
        return postgresql_url(self.postgresql) if self.postgresql else make_url(sqlite_url(self.dir / DATABASE_FILE))


class TelemetrySettings(Settings):
    """The store of shots, features and curves."""

    store: Literal["duckdb", "memory"] = Field(
        "duckdb", description="`duckdb` keeps shots in a file; `memory` forgets them when the program ends."
    )


class HostSettings(Settings):
    """The Sparkplug host application."""

    id: HostId = Field("zhisan", description="Host id; gateways name it as their primary host.")


class FleetSettings(Settings):
    """After what silence a value is no longer live."""

    press_stale_s_min: float = Field(60.0, gt=0, description="A press is not stale before this time without a shot.")
    cycles_missed: float = Field(3.0, ge=1, description="A press is stale after this many typical cycles.")
    gateway_stale_s: float = Field(30.0, gt=0, description="A gateway is stale after this time without a message.")

    def rules(self) -> FleetRules:
        """The rules of the fleet."""
        return FleetRules(self.press_stale_s_min, self.cycles_missed, self.gateway_stale_s)


class ProductionSettings(Settings):
    """How production is counted: shifts for OEE."""

    time_zone: str = Field("UTC", max_length=64, description="Time zone of the plants, as `Asia/Shanghai`.")
    shift_starts_h: tuple[Annotated[int, Field(ge=0, le=23)], ...] = Field(
        (6, 14, 22), min_length=1, max_length=24, description="Hours of the day at which shifts begin there."
    )

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not a time zone, as `Asia/Shanghai` or `UTC`") from error
        return name

    def schedule(self) -> Schedule:
        """As production takes it."""
        return Schedule(ZoneInfo(self.time_zone), tuple(sorted(set(self.shift_starts_h))))


class AlarmSettings(Settings):
    """When a failure probability becomes an alarm."""

    threshold: float = Field(0.8, gt=0, le=1, description="Failure probability from which shots count.")
    deadband: float = Field(0.1, ge=0, lt=1, description="How far below the threshold a shot counts for clearing.")
    on_delay_shots: int = Field(5, ge=1, description="Shots in a row over the threshold that raise an alarm.")
    on_delay_s: float = Field(0.0, ge=0, description="Time that these shots must span, by the press's clock.")
    off_delay_shots: int = Field(20, ge=1, description="Shots in a row under threshold - deadband that clear it.")
    off_delay_s: float = Field(0.0, ge=0, description="Time that these shots must span, by the press's clock.")
    history_s_max: float = Field(
        900.0, ge=0, description="Shots sent again after an outage that are older than this raise and clear nothing."
    )
    priority: Literal["low", "medium", "high", "critical"] = Field("high", description="Priority of the alarms.")
    shelve_hours_max: float = Field(12.0, gt=0, le=168, description="Longest time on the shelf.")
    realarm_hours: float = Field(
        8.0,
        ge=0,
        le=168,
        description="An acknowledged alarm that is still active after it is announced again; 0: never.",
    )
    keep_days: int = Field(
        730,
        ge=90,
        le=36_500,
        description="Alarms whose life is over for so long are forgotten with their history; labelled ones are kept.",
    )
    escalate_minutes_low: float = Field(480.0, gt=0, description="Unacknowledged for so long, an alarm escalates.")
    escalate_minutes_medium: float = Field(60.0, gt=0, description="The same for medium priority.")
    escalate_minutes_high: float = Field(15.0, gt=0, description="The same for high priority.")
    escalate_minutes_critical: float = Field(5.0, gt=0, description="The same for critical priority.")

    @model_validator(mode="after")
    def _deadband_fits(self) -> "AlarmSettings":
        if self.deadband >= self.threshold:
            raise ValueError("deadband must be below threshold, else no alarm can clear")
        return self

    def defaults(self) -> AlarmDefaults:
        """What the rules of alarms are as delivered."""
        limits = AlarmRules(
            threshold=self.threshold,
            deadband=self.deadband,
            on_delay_shots=self.on_delay_shots,
            on_delay_s=self.on_delay_s,
            off_delay_shots=self.off_delay_shots,
            off_delay_s=self.off_delay_s,
        )
        return AlarmDefaults(limits, self.priority, self.history_s_max)

    def policy(self) -> AlarmPolicy:
        """The site's times of alarms."""
        return AlarmPolicy(
            shelve_ms_max=round(self.shelve_hours_max * HOUR_MS),
            realarm_ms=round(self.realarm_hours * HOUR_MS),
            escalate_ms={
                "low": round(self.escalate_minutes_low * MINUTE_MS),
                "medium": round(self.escalate_minutes_medium * MINUTE_MS),
                "high": round(self.escalate_minutes_high * MINUTE_MS),
                "critical": round(self.escalate_minutes_critical * MINUTE_MS),
            },
        )


class EndpointSettings(Settings):
    """One receiver of signed calls (Standard Webhooks)."""

    name: Name = Field(description="Name, shown in lists; unique.")
    url: str = Field(description="http or https address that is called.")
    secret: SecretStr = Field(SecretStr(""), description="Signing secret: whsec_ and 24 to 64 bytes in base64.")
    secret_variable: str = Field("", description="Environment variable that holds the secret; it goes before `secret`.")
    allow_private_addresses: bool = Field(False, description="Whether private and loopback addresses may be called.")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        try:
            parsed = TypeAdapter(HttpUrl).validate_python(url)
        except ValidationError as error:
            raise ValueError("is not an http or https address") from error
        if parsed.username or parsed.password:
            raise ValueError("must not hold a user name or password: calls are signed with the secret")
        return url

    def endpoint(self, environ: Mapping[str, str] = os.environ) -> ConfiguredEndpoint:
        """The endpoint with its secret.

        Raises:
            SecretError: there is no secret, or it is not of the form whsec_<base64>.
        """
        secret = environ.get(self.secret_variable, "") if self.secret_variable else ""
        secret = secret or self.secret.get_secret_value()
        if not secret:
            variable = self.secret_variable or "the variable of secret_variable"
            raise SecretError(self.name, f"has no secret: set `secret` or {variable}")
        try:
            size = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
        except binascii.Error as error:
            raise SecretError(self.name, "the secret is not base64 after whsec_") from error
        if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= size <= SECRET_BYTES_MAX:
            form = f"{SECRET_PREFIX} and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64"
            raise SecretError(self.name, f"the secret must be {form}")
        return ConfiguredEndpoint(self.name, self.url, secret, self.allow_private_addresses)


class MailSettings(Settings):
    """The SMTP relay that takes e-mail about alarms."""

    host: str = Field("", max_length=253, description="Its name; empty: there is no e-mail.")
    port: int = Field(587, ge=1, le=65_535, description="Its TCP port.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="`starttls`, or `tls` from the first byte (port 465); both check its certificate."
    )
    sender: str = Field(
        "", max_length=320, description="Address that mail comes from, as `Zhisan <alarms@example.com>`."
    )
    username: str = Field("", max_length=256, description="Login at the relay; empty: none.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    password_variable: str = Field(
        "", description="Environment variable that holds the password; it goes before `password`."
    )
    ca_file: Path | None = Field(None, description="Authority of the relay's certificate (PEM); else the system's.")

    @model_validator(mode="after")
    def _is_whole(self) -> "MailSettings":
        if self.host and "@" not in self.sender:
            raise ValueError("sender is missing: the address that mail comes from")
        if self.username and self.security == "none":
            raise ValueError("a password is not sent without encryption: security must be starttls or tls")
        return self

    def relay(self, environ: Mapping[str, str] = os.environ) -> MailRelay | None:
        """The relay with its password; None where there is none."""
        if not self.host:
            return None
        password = environ.get(self.password_variable, "") if self.password_variable else ""
        return MailRelay(
            host=self.host,
            port=self.port,
            security=self.security,
            sender=self.sender,
            username=self.username,
            password=password or self.password.get_secret_value(),
            ca_file=str(self.ca_file) if self.ca_file is not None else None,
        )


class WebhookSettings(Settings):
    """Calls to other systems."""

    first_retry_s: float = Field(
        FIRST_RETRY_S, ge=0.05, le=600, description="Pause before the second try; the later ones grow with it."
    )
    allow_private_addresses: bool = Field(
        False, description="Whether endpoints that people make may be at private and loopback addresses, and by http."
    )
    mail: MailSettings = MailSettings()
    endpoints: tuple[EndpointSettings, ...] = Field(
        (),
        max_length=ENDPOINTS_MAX,
        description="Endpoints of the installation, beside those that people make on the page.",
    )

    @model_validator(mode="after")
    def _names_once(self) -> "WebhookSettings":
        names = [endpoint.name for endpoint in self.endpoints]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"more than one endpoint is named {', '.join(twice)}")
        return self


class LimitSettings(Settings):
    """How much one request, and one caller, may ask of the web side."""

    json_bytes_max: int = Field(262_144, ge=1_024, description="Longest JSON body.")
    form_bytes_max: int = Field(65_536, ge=1_024, description="Longest body of a form, and of any type not named here.")
    upload_bytes_max: int = Field(
        8_388_608, ge=1_024, description="Longest body of `multipart/form-data` or `application/octet-stream`."
    )
    header_bytes_max: int = Field(16_384, ge=1_024, le=60_000, description="All headers of a request together.")
    url_bytes_max: int = Field(4_096, ge=512, le=60_000, description="Longest path with query.")
    body_s_max: float = Field(20.0, gt=0, le=600, description="Time that a request's body may take to arrive.")
    requests_per_s: float = Field(
        100.0, gt=0, description="Requests a second of one account or API key, in the long run."
    )
    requests_burst: int = Field(1_000, ge=1, description="Requests of one account or API key at once.")
    stranger_requests_per_s: float = Field(
        50.0, gt=0, description="Requests a second from one network address that are not signed in, in the long run."
    )
    stranger_requests_burst: int = Field(
        300, ge=1, description="Requests at once from one network address that are not signed in."
    )
    connections_max: int = Field(
        2_000, ge=10, description="Open connections, live pages among them; who comes then gets 503."
    )

    def limits(self) -> Limits:
        """The limits of requests."""
        return Limits(**self.model_dump(exclude={"connections_max"}))


class GatewaySettings(Settings):
    """Who may be a gateway: claims, certificates, and the broker that asks for them."""

    claimed_only: bool = Field(False, description="Whether only claimed gateways are taken; else also unknown ones.")
    broker_host: str = Field(
        "", max_length=64, description="TLS broker as gateways reach it; empty: gateways cannot be claimed."
    )
    broker_port: int = Field(8883, ge=1, le=65_535, description="Its port for gateways.")
    broker_names: tuple[str, ...] = Field(
        (), max_length=20, description="Further names and addresses in the broker's certificate."
    )
    broker_dir: Path | None = Field(
        None, description="Folder for the files that the broker reads; by default `broker` in `storage.dir`."
    )
    certificate_days: int = Field(90, ge=1, le=397, description="Life of a gateway's certificate.")
    claim_minutes: int = Field(60, ge=1, le=10_080, description="Life of a claim token.")
    reload_pid_file: Path | None = Field(
        None, description="The broker's pid file: it gets SIGHUP when its files have changed."
    )
    reload_command: tuple[str, ...] = Field(
        (), max_length=20, description="Command that tells the broker, as a list of words; instead of the pid file."
    )

    def rules(self) -> GatewayRules:
        """The rules of gateway identity."""
        return GatewayRules(
            claimed_only=self.claimed_only,
            broker_host=self.broker_host,
            broker_port=self.broker_port,
            certificate_ms=self.certificate_days * DAY_MS,
            claim_ms=self.claim_minutes * 60_000,
        )


class ModelSettings(Settings):
    """Which bundles are taken into the registry."""

    require_signature: bool = Field(True, description="Refuse a bundle that no trusted key has signed.")
    trusted_keys: Path | None = Field(
        None, description="Folder of public keys (*.pub, and revoked.txt); without one, no bundle is taken."
    )


class LogSettings(Settings):
    """What the program writes to standard error."""

    style: Literal["json", "console"] = Field("console", description="json for machines, console for the eye.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe level that is written."
    )


class AccountSettings(Settings):
    """How long people stay signed in, and how their sessions travel."""

    idle_h_max: float = Field(12.0, gt=0, le=24 * 31, description="Hours without a request after which a session ends.")
    session_days_max: float = Field(7.0, gt=0, le=90, description="Days after which a session ends in any case.")

    https_only: bool = Field(
        False, description="Browsers send the session's cookie over https only, also when a proxy does not tell us."
    )

    def rules(self) -> SessionRules:
        """As the identity module takes it."""
        lasts_ms = round(self.session_days_max * DAY_MS)
        return SessionRules(round(self.idle_h_max * HOUR_MS), lasts_ms, is_https_only=self.https_only)


class TracingSettings(Settings):
    """Traces of requests, batches and calls for an OpenTelemetry collector; needs `requirements/cloud-tracing.txt`."""

    enabled: bool = Field(False, description="Whether traces are made; without, no SDK is loaded.")
    endpoint: str = Field("http://127.0.0.1:4318/v1/traces", description="The collector, by OTLP over HTTP (protobuf).")
    share: float = Field(1.0, gt=0, le=1, description="Share of the traces that begin here that are kept.")

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str) -> str:
        if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
            raise ValueError("must be an http or https address")
        return endpoint


class CloudSettings(Settings):
    """The whole file."""

    storage: StorageSettings
    web: WebSettings = WebSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    broker: BrokerSettings = BrokerSettings()
    host: HostSettings = HostSettings()
    fleet: FleetSettings = FleetSettings()
    production: ProductionSettings = ProductionSettings()
    alarms: AlarmSettings = AlarmSettings()
    webhooks: WebhookSettings = WebhookSettings()
    gateways: GatewaySettings = GatewaySettings()
    accounts: AccountSettings = AccountSettings()
    models: ModelSettings = ModelSettings()
    oidc: OidcSettings = OidcSettings()
    limits: LimitSettings = LimitSettings()
    signup: SignupSettings = SignupSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _signup_has_mail(self) -> "CloudSettings":
        if self.signup.enabled and self.signup.confirm == "mail" and not self.webhooks.mail.host:
            raise ValueError("signup.confirm is mail, and webhooks.mail.host is not set: set it, or confirm by link")
        return self

    def fingerprint(self) -> str:
        """SHA-256 of all settings as JSON in which every secret is a row of stars: the same for the same settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
