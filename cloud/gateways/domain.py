"""The rules of gateway identity: what can be claimed, which renewal is believed, what the broker allows. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from contract.gateway_identity import SUBJECT_BYTES_MAX, host_subject_of, subject_of
from contract.sparkplug.errors import TopicError
from contract.sparkplug.topics import NAMESPACE, Verb, check_id
from kit.errors import ZhisanError

TOKEN_PREFIX = "zgc_"  # noqa: S105 - the form of a token, not one
TOKEN_CHARACTERS_MAX = 100
PEM_CHARACTERS_MAX = 4_096
NONCE_CHARACTERS_MIN, NONCE_CHARACTERS_MAX = 16, 64
REASON_CHARACTERS_MAX = 500
CLOCK_OFF_MS_MAX = 5 * 60_000
"""How far a gateway's clock may be off when it signs a renewal; also for how long a signed one can be replayed."""
DAY_MS = 24 * 3600 * 1000

WRITES = (Verb.NBIRTH, Verb.NDATA, Verb.NDEATH, Verb.DBIRTH, Verb.DDATA, Verb.DDEATH)
READS = (Verb.NCMD, Verb.DCMD)


class GatewayIdentityError(ZhisanError):
    """Something about a gateway's identity cannot be done."""


class ClaimRefusedError(GatewayIdentityError):
    """The token opens nothing; that it is wrong, expired or used is one answer: 403."""

    def __init__(self) -> None:
        super().__init__("The claim token is wrong, expired or used. Make a new one on the page Gateways.")


class RenewalRefusedError(GatewayIdentityError):
    """The request does not come from a gateway that may renew; the reason is for our log alone: 403."""

    def __init__(self, reason: str) -> None:
        super().__init__("The certificate cannot be renewed. Claim the gateway again.")
        self.reason = reason


class PlantTakenError(GatewayIdentityError):
    """The plant id is in use by somebody else: 409."""

    def __init__(self, plant_id: str) -> None:
        super().__init__(f"The plant id {plant_id!r} cannot be used: choose another.")
        self.plant_id = plant_id


class ClaimsClosedError(GatewayIdentityError):
    """No broker with certificates is configured: 409."""

    def __init__(self) -> None:
        super().__init__("Gateways cannot be claimed here: [gateways] broker_host is not set.")


class ClaimSpentError(GatewayIdentityError):
    """The claim's token is used or has ended: nothing is left to take back: 409."""

    def __init__(self) -> None:
        super().__init__("The claim is spent or has ended. To shut the gateway out, revoke it.")


class RequestPemError(GatewayIdentityError):
    """What should be a certificate or a request for one is none, or not of our kind: 422."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name} {message}")
        self.field_name = field_name
        self.message = message


@dataclass(frozen=True, slots=True)
class GatewayRules:
    """Times, and the broker as gateways reach it; without a broker host there are no claims."""

    claimed_only: bool = False
    broker_host: str = ""
    broker_port: int = 8883
    certificate_ms: int = 90 * DAY_MS
    claim_ms: int = 3600 * 1000


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim just made; the token is shown once and never again."""

    claim_id: UUID
    plant_id: str
    gateway_id: str
    expires_ms: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim without its token, which nobody keeps; taken back, it ends when it was taken back."""

    claim_id: UUID
    plant_id: str
    gateway_id: str
    created_ms: int
    created_by: str
    expires_ms: int
    used_ms: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """A claimed gateway, as lists show it."""

    plant_id: str
    gateway_id: str
    claimed_ms: int
    claimed_by: str
    renewed_ms: int | None
    expires_ms: int
    revoked_ms: int | None
    revoked_by: str | None
    revoked_reason: str | None


def id_problem(plant_id: str, gateway_id: str) -> str | None:
    """Why these two cannot name a claimed gateway; None when they can."""
    try:
        check_id(plant_id)
        check_id(gateway_id)
    except TopicError as error:
        return str(error)
    if plant_id == "STATE":
        return "STATE is the place of hosts, not of a plant"
    if not (plant_id.isprintable() and gateway_id.isprintable()):
        return "plant and gateway must be printable"
    if len(subject_of(plant_id, gateway_id).encode()) > SUBJECT_BYTES_MAX:
        return f"plant and gateway together may take {SUBJECT_BYTES_MAX - 1} bytes of UTF-8"
    return None


def renewal_problem(*, signed_at_ms: int, now_ms: int, expires_ms: int, is_known: bool, is_revoked: bool) -> str | None:
    """Why a rightly signed renewal is not granted; None when it is."""
    if not is_known:
        return "serial unknown"
    if is_revoked:
        return "revoked"
    if now_ms >= expires_ms:
        return "expired"
    if abs(now_ms - signed_at_ms) > CLOCK_OFF_MS_MAX:
        return "signed too long ago, or by a clock that is off"
    return None


def access_list(host_id: str, gateways: Iterable[tuple[str, str]]) -> str:
    """Mosquitto's acl_file: the host, and for each gateway (plant, id) its own topics; who is not named may do nothing.

    One block a gateway and no `pattern`: a pattern puts in a user name as a whole, and plant and gateway are two levels
    of a topic. Only the host may write commands.
    """
    lines = [
        f"user {host_subject_of(host_id)}",
        f"topic read {NAMESPACE}/#",
        f"topic write {NAMESPACE}/STATE/{host_id}",
        f"topic write {NAMESPACE}/+/{Verb.NCMD}/+",
        f"topic write {NAMESPACE}/+/{Verb.DCMD}/+/+",
    ]
    for plant_id, gateway_id in sorted(gateways):
        lines += ["", f"user {subject_of(plant_id, gateway_id)}"]
        lines += [f"topic write {own}" for own in _own_topics(plant_id, gateway_id, WRITES)]
        lines += [f"topic read {own}" for own in _own_topics(plant_id, gateway_id, READS)]
        lines.append(f"topic read {NAMESPACE}/STATE/#")
    return "\n".join(lines) + "\n"


def _own_topics(plant_id: str, gateway_id: str, verbs: Sequence[Verb]) -> list[str]:
    return [f"{NAMESPACE}/{plant_id}/{verb}/{gateway_id}" + ("/+" if verb.is_of_device else "") for verb in verbs]
