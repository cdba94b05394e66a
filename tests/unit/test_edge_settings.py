"""The gateway's settings: every key documented, unknown ones refused by name, the environment goes before the file."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from edge_agent.settings import ENVIRONMENT_PREFIX, EdgeSettings
from kit.settings import SettingsError, load

GOOD = """
[gateway]
plant = "north"
id = "gw-1"
state_dir = "state"
"""


def loaded(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> EdgeSettings:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return load(EdgeSettings, path, prefix=ENVIRONMENT_PREFIX, environ=environ or {})


def keys_of(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        arguments = [a for a in getattr(inner, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += keys_of(inner, f"{prefix}{name}.")
        elif arguments:
            found += keys_of(arguments[0], f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def test_defaults_need_only_the_gateway_s_name_and_folder(tmp_path: Path) -> None:
    settings = loaded(GOOD, tmp_path)
    assert settings.uplink.primary_host_id == "zhisan"
    assert settings.sources.opcua == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD + "[uplnik]\nrecords_max = 1\n", "uplnik: unknown key"),
        (GOOD + "[uplink]\nrecord_max = 1\n", "uplink.record_max: unknown key"),
        (GOOD + "[uplink]\nrecords_max = 0\n", "uplink.records_max"),
        (GOOD.replace('"north"', '"no rth"'), "gateway.plant"),
        (GOOD.replace('"gw-1"', '"gw/1"'), "gateway.id"),
        (GOOD.replace('"gw-1"', '"gw+1"'), "gateway.id"),
        (GOOD.replace("state_dir", "# state_dir"), "gateway.state_dir: Field required"),
        (GOOD + '[[sources.opcua]]\npress = "a"\nurl = "http://x"\n', "sources.opcua.0.url"),
        (
            GOOD + '[[sources.opcua]]\npress = "a"\nurl = "opc.tcp://x"\nsecurity = "basic256sha256"\n',
            "certificate_file",
        ),
        (
            GOOD + '[[sources.opcua]]\npress = "a"\nurl = "opc.tcp://x"\n' * 2,
            "press a is named by more than one source",
        ),
        (
            GOOD + "".join(f'[[sources.opcua]]\npress = "{press}"\nurl = "opc.tcp://x"\n' for press in "aA"),
            "presses A, a differ in upper and lower case alone",
        ),
        ("[gateway\n", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(text, tmp_path)
    assert any(complaint in problem for problem in caught.value.problems), caught.value.problems


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read"):
        load(EdgeSettings, tmp_path / "nowhere.toml", prefix=ENVIRONMENT_PREFIX, environ={})


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    environ = {
        "ZHISAN_EDGE__BROKER__PASSWORD": "s3cret",
        "ZHISAN_EDGE__BROKER__PORT": "8883",
        "ZHISAN_EDGE__GATEWAY__ID": "gw-2",
        "ZHISAN_CLOUD__WEB__PORT": "1",
    }
    settings = loaded(GOOD, tmp_path, environ)
    assert (settings.broker.password.get_secret_value(), settings.broker.port, settings.gateway.id) == (
        "s3cret", 8883, "gw-2",
    )  # fmt: skip
    assert "s3cret" not in repr(settings)


def test_every_key_is_documented(root: Path) -> None:
    page = (root / "docs/reference/settings_edge.md").read_text(encoding="utf-8")
    missing = [key for key in keys_of(EdgeSettings) if f"`{key}`" not in page]
    assert not missing
