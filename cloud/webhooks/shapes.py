"""What the API of webhooks takes and gives, as JSON."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cloud.webhooks import endpoints, rules
from cloud.webhooks.domain import Health, Language, State, Template
from cloud.webhooks.filters import DEFAULT_KINDS, EventFilter, Priority
from cloud.webhooks.rules import Draft

Name = Annotated[str, Field(pattern=rules.NAME_PATTERN, description="Unique in the company.")]
Url = Annotated[str, Field(max_length=rules.URL_CHARACTERS_MAX)]
Secret = Annotated[SecretStr, Field(max_length=rules.SECRET_CHARACTERS_MAX)]
Word = Annotated[str, Field(min_length=1, max_length=128)]
Words = Annotated[list[Word], Field(max_length=rules.FILTER_ITEMS_MAX)]
Kinds = Annotated[
    list[Annotated[str, Field(pattern=rules.KIND_PATTERN)]],
    Field(max_length=rules.FILTER_ITEMS_MAX, description="As alarm.raised; alarm.* or none: all."),
]
Recipients = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=rules.RECIPIENTS_MAX)]
TimeZone = Annotated[str, Field(max_length=64, description="IANA name, for times in texts.")]


class EndpointIn(BaseModel):
    """A receiver as somebody wants it."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    template: Template = Field(description="The form of its calls; it stays as it is.")
    url: Url = Field("", description="Not for e-mail; empty with pagerduty: its own address.")
    secret: Secret = Field(
        SecretStr(""),
        description="Of a robot that signs (feishu, dingtalk), or the routing key (pagerduty); write-only.",
    )
    recipients: Recipients = Field([], description="Of e-mail.")
    language: Language = Field("zh-CN", description="Of texts; json and cloudevents have none.")
    time_zone: TimeZone = "UTC"
    kinds: Kinds = list(DEFAULT_KINDS)
    priority_min: Priority | None = Field(None, description="Events below it are not told; null: all.")
    plants: Words = Field([], description="Only of these plants; none: all.")
    presses: Words = Field([], description="Only of these, as plant/press or press; none: all.")
    modes: Words = Field([], description="Only of these failure modes; none: all.")
    is_enabled: bool = True

    def draft(self) -> Draft:
        """As the rules take it."""
        return Draft(
            name=self.name,
            template=self.template,
            url=self.url,
            secret=self.secret.get_secret_value(),
            recipients=tuple(self.recipients),
            language=self.language,
            time_zone=self.time_zone,
            events=EventFilter(
                kinds=tuple(self.kinds),
                priority_min=self.priority_min,
                plants=tuple(self.plants),
                presses=tuple(self.presses),
                modes=tuple(self.modes),
            ),
            is_enabled=self.is_enabled,
        )


class EndpointChange(BaseModel):
    """What is to be different; a field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    url: Url = ""
    secret: Secret = SecretStr("")
    recipients: Recipients = []
    language: Language = "zh-CN"
    time_zone: TimeZone = ""
    kinds: Kinds = []
    priority_min: Priority | None = None
    plants: Words = []
    presses: Words = []
    modes: Words = []
    is_enabled: bool = True

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as the service takes them."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        if "secret" in found:
            found["secret"] = self.secret.get_secret_value()
        return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


class EndpointOut(BaseModel):
    """A receiver; its secrets, and the parts of its address that are secret, are never told."""

    model_config = ConfigDict(from_attributes=True)

    endpoint_id: UUID
    name: str
    template: Template
    url: str = Field(description="Without what is secret in it.")
    recipients: list[str]
    language: Language
    time_zone: str
    kinds: list[str]
    priority_min: Priority | None
    plants: list[str]
    presses: list[str]
    modes: list[str]
    is_from_settings: bool = Field(
        description="It stands in the cloud's settings; only filters, texts and the switch change here."
    )
    is_enabled: bool
    disabled_reason: str = Field(description="`gone`: it answered 410; `by_hand`; empty while it is enabled.")
    health: Health
    old_secret_until_ms: int | None = Field(description="Until when calls are signed with the old secret as well.")
    created_ms: int
    next_probe_ms: int | None = Field(description="When an open circuit lets the next call through.")
    resume_at_ms: int | None = Field(description="Until when the receiver has asked to be left alone.")
    last_success_ms: int | None
    last_failure_ms: int | None
    last_error: str
    pending: int
    dead_letters: int


class NewEndpointOut(BaseModel):
    """The new endpoint, and its secret: told here and never again."""

    endpoint: EndpointOut
    secret: str | None = Field(description="whsec_...; null for templates that are not signed with a secret of ours.")


class RotationIn(BaseModel):
    """How long the old secret signs as well."""

    model_config = ConfigDict(extra="forbid")

    grace_h: int = Field(endpoints.GRACE_H_DEFAULT, ge=0, le=endpoints.GRACE_H_MAX, description="0: it ends at once.")


class RotationOut(BaseModel):
    """The new secret: told here and never again."""

    secret: str
    old_secret_until_ms: int | None


class ReplayOut(BaseModel):
    """How many dead letters are owed once more."""

    count: int


class DeliveryOut(BaseModel):
    """A call owed to, or made at, one endpoint for one event."""

    model_config = ConfigDict(from_attributes=True)

    delivery_id: UUID = Field(description="The webhook-id of every try is `msg_` and this.")
    endpoint_id: UUID
    endpoint: str
    event_id: int | None = Field(description="Null for a test.")
    kind: str = Field(description="Kind of the event, as alarm.raised: `type` in the call.")
    state: State = Field(
        description="`failed`: a dead letter, given up after a day or because the endpoint is not called."
    )
    attempts: int
    created_ms: int
    next_attempt_ms: int | None
    delivered_ms: int | None
    last_attempt_ms: int | None
    last_status: int | None = Field(description="HTTP status (or SMTP code) of the last try; null without an answer.")
    last_answer: str = Field(description="The first 2 kB of the last answer.")
    last_error: str = Field(description="Why there was no answer, or none that counts.")


class AttemptOut(BaseModel):
    """One try: what was sent, with stars for secrets, and what came back."""

    model_config = ConfigDict(from_attributes=True)

    started_ms: int
    duration_ms: int
    outcome: str = Field(description="delivered, retry, refused, limited or gone.")
    url: str
    request_headers: dict[str, str]
    request_body: str = Field(description="Its first 8,192 characters.")
    status: int | None
    answer_headers: dict[str, str]
    answer: str = Field(description="Its first 2 kB.")
    error: str


class DeliveryLogOut(BaseModel):
    """A delivery with the tries that the log keeps, newest first, at most 20."""

    delivery: DeliveryOut
    attempts: list[AttemptOut]
