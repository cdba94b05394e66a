"""`zhisan gateway claim`: makes this machine the gateway that a claim token names."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_agent.identity import cloud_calls
from edge_agent.identity.cloud_calls import CloudAddress
from edge_agent.identity.files import About, IdentityError, IdentityFiles
from edge_agent.settings import ENVIRONMENT_PREFIX, EdgeSettings
from kit.settings import SettingsError, load

TOKEN_VARIABLE = "ZHISAN_CLAIM_TOKEN"  # noqa: S105 - the variable's name
SETTINGS = """\
[gateway]
plant = {plant}
id = {gateway}
state_dir = {state_dir}

{broker}
[uplink]
primary_host_id = {host_id}
"""
BROKER = """\
[broker]
host = {broker_host}
port = {broker_port}
ca_file = {ca_file}
certificate_file = {gateway_file}
"""


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run the command; 0 when claimed, 1 when refused or not reached, 2 when the settings cannot be used."""
    given = _parser().parse_args(argv)
    token = given.token or environ.get(TOKEN_VARIABLE, "")
    if not token:
        return _fail(f"no claim token: give --token, or {TOKEN_VARIABLE} in the environment", code=2)
    settings: EdgeSettings | None = None
    if given.config is not None and given.config.exists():
        try:
            settings = load(EdgeSettings, given.config, prefix=ENVIRONMENT_PREFIX, environ=environ)
        except SettingsError as error:
            return _fail(str(error), code=2)
    state_dir = given.state_dir or (settings.gateway.state_dir if settings is not None else None)
    if state_dir is None:
        return _fail("where shall the identity lie? Give --state-dir, or --config of a file that names it", code=2)
    files = IdentityFiles(state_dir.absolute())
    try:
        identity = cloud_calls.claim(CloudAddress(given.cloud, str(given.ca_file or "")), token)
        files.write(identity)
    except IdentityError as error:
        return _fail(str(error), code=1)
    print(f"ok      this machine is gateway {identity.about.plant}/{identity.about.gateway}; its key and certificate:")
    print(f"        {files.gateway_file}")
    return _tell_settings(given.config, settings, identity.about, files, state_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zhisan gateway", description="The gateway's identity.")
    commands = parser.add_subparsers(dest="command", required=True)
    what = "spend a claim token for a certificate"
    command = commands.add_parser("claim", help=what, description=what)
    command.add_argument("--cloud", required=True, metavar="URL", help="https address of the cloud")
    command.add_argument(
        "--token", default="", metavar="T", help=f"claim token; else {TOKEN_VARIABLE} (safer: see docs)"
    )
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="gateway.toml; it is written when it does not exist"
    )
    command.add_argument("--state-dir", type=Path, metavar="DIR", help="else gateway.state_dir of the settings")
    command.add_argument("--ca-file", type=Path, metavar="FILE", help="authority of the cloud's web certificate")
    return parser


def _tell_settings(
    config: Path | None, settings: EdgeSettings | None, about: About, files: IdentityFiles, state_dir: Path
) -> int:
    """Write the settings file that is not there yet, or say what an existing one must say."""
    values = {
        "plant": about.plant,
        "gateway": about.gateway,
        "state_dir": str(state_dir.absolute()),
        "host_id": about.host_id,
        "broker_host": about.broker_host,
        "ca_file": str(files.ca_file),
        "gateway_file": str(files.gateway_file),
    }
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    broker = BROKER.format(broker_port=about.broker_port, **quoted)
    if config is not None and settings is None:
        try:
            config.write_text(SETTINGS.format(broker=broker, **quoted), encoding="utf-8")
        except OSError as error:
            return _fail(f"{config} cannot be written: {error.strerror}", code=1)
        print(f"ok      {config} is written; add the presses and run `zhisan edge check --config {config}`")
        return 0
    if settings is not None and _fits(settings, about, files):
        print(f"ok      {config} fits")
        return 0
    print(f"next    {config or 'gateway.toml'} must say (a restart of the gateway takes it):\n")
    print(f"[gateway]\nplant = {quoted['plant']}\nid = {quoted['gateway']}\n\n{broker}")
    return 0


def _fits(settings: EdgeSettings, about: About, files: IdentityFiles) -> bool:
    gateway, broker = settings.gateway, settings.broker
    return (gateway.plant, gateway.id) == (about.plant, about.gateway) and (
        (broker.host, broker.port, broker.ca_file, broker.certificate_file)
        == (about.broker_host, about.broker_port, files.ca_file, files.gateway_file)
    )


def _fail(message: str, *, code: int) -> int:
    print(f"ERROR   {message}", file=sys.stderr)
    return code
