"""The cloud's settings: wrong ones are refused by name, each key is documented, secrets stay hidden."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from cloud.alarms.domain import AlarmDefaults
from cloud.fleet.domain import FleetRules
from cloud.settings import AlarmSettings, CloudSettings, EndpointSettings, FleetSettings, SecretError
from kit.settings import SettingsError, load

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ENDPOINT = '[[webhooks.endpoints]]\nname = "ops"\nurl = "https://example.com/x"\n'


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> CloudSettings:
    path = folder / "cloud.toml"
    path.write_text('[storage]\ndir = "cloud"\n' + text, encoding="utf-8")
    return load(CloudSettings, path, prefix="ZHISAN_CLOUD__", environ=environ or {})


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        inner = [part for part in (field.annotation, *getattr(field.annotation, "__args__", ())) if part is not None]
        section = next((part for part in inner if isinstance(part, type) and issubclass(part, BaseModel)), None)
        if section is not None:
            yield from keys(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description


def test_every_key_has_its_row_in_the_reference(root: Path) -> None:
    reference = (root / "docs" / "reference" / "settings_cloud.md").read_text(encoding="utf-8")
    missing = [key for key, _ in keys(CloudSettings) if f"| `{key}` |" not in reference]
    assert missing == []


def test_every_key_of_ours_says_what_it_means() -> None:
    assert [key for key, text in keys(CloudSettings) if not text and not key.startswith("broker.")] == []


def test_only_the_storage_folder_must_be_told(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")
    assert (settings.web.host, settings.web.port, settings.telemetry.store) == ("127.0.0.1", 8000, "duckdb")


def test_the_defaults_are_those_of_the_rules() -> None:
    assert AlarmSettings().defaults() == AlarmDefaults()
    assert FleetSettings().rules() == FleetRules()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[web]\nport = 0\n", "web.port"),
        ("[web]\nprot = 1\n", "web.prot"),
        ("[telemetry]\nstore = 'tape'\n", "telemetry.store"),
        ("[host]\nid = 'a b'\n", "host.id"),
        ("[alarms]\nthreshold = 1.5\n", "alarms.threshold"),
        ("[alarms]\nthreshold = 0.3\ndeadband = 0.3\n", "alarms"),
        ("[alarms]\non_delay_shots = 0\n", "alarms.on_delay_shots"),
        (ENDPOINT + ENDPOINT, "webhooks"),
        (ENDPOINT.replace("https://example.com/x", "ftp://example.com"), "webhooks.endpoints.0.url"),
        (ENDPOINT.replace("example.com", "me:pass@example.com"), "webhooks.endpoints.0.url"),
        (ENDPOINT.replace("ops", "o p s"), "webhooks.endpoints.0.name"),
    ],
)
def test_what_is_wrong_is_refused_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [key]


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "[web]\nport = 1\n", {"ZHISAN_CLOUD__WEB__PORT": "8123"})
    assert settings.web.port == 8123


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        ("", "has no secret"),
        ("whsec_!!!", "not base64"),
        ("whsec_c2hvcnQ=", "24 to 64"),
        (SECRET[6:], "must be whsec_"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_showing_it(secret: str, complaint: str) -> None:
    settings = EndpointSettings(name="ops", url="https://example.com", secret=secret)
    with pytest.raises(SecretError, match=complaint) as caught:
        settings.endpoint({})
    assert not secret or secret not in str(caught.value)


def test_a_secret_comes_from_its_variable_first_and_is_never_shown() -> None:
    other = SECRET.replace("MDEy", "MTIz")
    settings = EndpointSettings(name="ops", url="https://example.com", secret=SECRET, secret_variable="OPS_SECRET")
    endpoint = settings.endpoint({"OPS_SECRET": other})
    assert endpoint.secret == other
    assert settings.endpoint({}).secret == SECRET
    for text in (repr(settings), repr(endpoint), settings.model_dump_json()):
        assert SECRET[6:] not in text
        assert other[6:] not in text
