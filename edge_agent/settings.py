"""The gateway's one TOML file: every key, its default and what it means."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from kit.mqtt import BrokerSettings
from kit.settings import Settings

ENVIRONMENT_PREFIX = "ZHISAN_EDGE__"

Id = Annotated[str, Field(pattern=r"^[^\s+#/\x00-\x1f]{1,64}$")]
"""A Sparkplug id: no spaces, `+`, `#`, `/` or control characters."""


class GatewaySettings(Settings):
    """Who this gateway is."""

    plant: Id = Field(description="Plant id: the Sparkplug group.")
    id: Id = Field(description="Gateway id, unique in the plant: the Sparkplug edge node.")
    state_dir: Path = Field(description="Folder for the journal and the replay inbox; must survive restarts.")


class JournalSettings(Settings):
    """The durable log."""

    size_mb_max: int = Field(1024, ge=1, description="Bound of the journal's folder; there it degrades, counted.")
    grace_mb_max: int = Field(
        32, ge=0, description="Of what the host has, this much stays readable while there is room."
    )


class UplinkSettings(Settings):
    """From the journal to the cloud."""

    primary_host_id: str = Field(
        "zhisan", description="Host whose STATE must be online before anything is sent; empty: none."
    )
    confirmation: Literal["commit", "state"] = Field(
        "commit",
        description="commit: keep a shot until the host says it is durable; state: the host knows only Sparkplug.",
    )
    records_max: int = Field(5_000, ge=1, description="Most records sent and not committed.")
    bytes_max: int = Field(16 * 1024 * 1024, ge=64 * 1024, description="Most bytes sent and not committed.")
    resend_after_s: float = Field(5.0, ge=0.5, description="Send a record again when it is not committed by then.")
    health_every_s: float = Field(10.0, ge=1.0, description="How often the health metrics are published.")


class ModelSettings(Settings):
    """What scores the shots."""

    bundle: Path | None = Field(
        None, description="Model bundle; without one, shots are sent unscored until one is sent."
    )
    require_signature: bool = Field(True, description="Refuse a bundle that no trusted key has signed.")
    trusted_keys: Path | None = Field(
        None, description="Folder of public keys (*.pub, and revoked.txt); by default `trusted_keys` in `state_dir`."
    )
    cloud_url: str = Field(
        "", description="https address of the cloud that bundles are fetched from; empty: the one that claimed us."
    )
    cloud_ca_file: Path | None = Field(None, description="Authority of its web certificate, if not a public one.")


class CurveSettings(Settings):
    """What is kept of the curves: from injection start, resampled."""

    interval_s: float = Field(0.005, gt=0, description="Sample interval of the kept curves.")
    samples_max: int = Field(1_000, ge=0, le=20_000, description="Most samples a curve; 0 keeps no curves.")


class OpcUaSource(Settings):
    """One press with an OPC 40077 (EUROMAP 77) server."""

    press: Id = Field(description="Press id: the Sparkplug device.")
    url: str = Field(pattern=r"^opc\.tcp://", description="Endpoint, opc.tcp://host:port/path.")
    security: Literal["none", "basic256sha256"] = Field("none", description="basic256sha256 signs and encrypts.")
    certificate_file: Path | None = Field(None, description="This gateway's certificate (DER or PEM).")
    private_key_file: Path | None = Field(None, description="This gateway's private key (PEM).")
    server_certificate_file: Path | None = Field(None, description="The press's certificate, to be sure who answers.")
    username: str = Field("", description="User name, when the server wants one.")
    password: SecretStr = Field(SecretStr(""), description="Its password; better by environment.")

    @model_validator(mode="after")
    def _certificates(self) -> "OpcUaSource":
        if self.security == "basic256sha256" and not (self.certificate_file and self.private_key_file):
            raise ValueError("basic256sha256 needs certificate_file and private_key_file")
        return self


class SourceSettings(Settings):
    """Where shots come from."""

    opcua: tuple[OpcUaSource, ...] = Field((), description="Presses with an OPC UA server.")


class LocalWebhookSettings(Settings):
    """The plant's own receiver of calls."""

    url: str = Field(
        "", pattern=r"^(https?://[^\s/]+(/\S*)?)?$", description="Receiver beside the gateway; empty: none."
    )
    secret: SecretStr = Field(
        SecretStr(""), description="Signs the calls (`whsec_` and base64); better by environment."
    )
    ca_file: Path | None = Field(None, description="Authority of the receiver's certificate, if not a public one.")

    @model_validator(mode="after")
    def _signed(self) -> "LocalWebhookSettings":
        if self.url:
            try:
                Webhook(self.secret.get_secret_value())
            except (ValueError, RuntimeError, EmptyWebhookSecretError) as error:
                raise ValueError("secret must be `whsec_` and base64, for the receiver to know us by") from error
        return self


class ModbusOutputSettings(Settings):
    """The Modbus TCP server for a lamp or a PLC."""

    host: str = Field("127.0.0.1", description="Address to listen on; the plant's own network only.")
    port: int = Field(0, ge=0, le=65_535, description="TCP port, 502 is usual; 0: no such output.")


class OpcUaOutputSettings(Settings):
    """The OPC UA server for a control room."""

    endpoint: str = Field(
        "",
        pattern=r"^(opc\.tcp://[^\s/]+(/\S*)?)?$",
        description="Endpoint to listen on, opc.tcp://127.0.0.1:4841/zhisan; empty: no such output.",
    )


class AlarmSettings(Settings):
    """What the gateway raises by itself while the cloud is out of reach."""

    cut_off_after_s: float = Field(
        60.0, ge=5.0, description="The cloud is out of reach when shots wait so long for its word."
    )
    webhook: LocalWebhookSettings = LocalWebhookSettings()
    modbus: ModbusOutputSettings = ModbusOutputSettings()
    opcua: OpcUaOutputSettings = OpcUaOutputSettings()


class LogSettings(Settings):
    """What the program writes to standard error."""

    style: Literal["json", "console"] = Field("console", description="json for machines, console for the eye.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe level that is written."
    )


class EdgeSettings(Settings):
    """The whole file."""

    gateway: GatewaySettings
    broker: BrokerSettings = BrokerSettings()
    journal: JournalSettings = JournalSettings()
    uplink: UplinkSettings = UplinkSettings()
    models: ModelSettings = ModelSettings()
    curves: CurveSettings = CurveSettings()
    sources: SourceSettings = SourceSettings()
    alarms: AlarmSettings = AlarmSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _presses_once(self) -> "EdgeSettings":
        presses = [source.press for source in self.sources.opcua]
        twice = sorted({press for press in presses if presses.count(press) > 1})
        if twice:
            raise ValueError(f"press {', '.join(twice)} is named by more than one source")
        folded = [press.lower() for press in presses]
        alike = sorted(press for press in presses if folded.count(press.lower()) > 1)
        if alike:
            raise ValueError(f"presses {', '.join(alike)} differ in upper and lower case alone")
        return self
