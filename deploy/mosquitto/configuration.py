"""`python -m deploy.mosquitto.configuration`: the configuration of mosquitto for gateways with certificates."""

import argparse
from pathlib import Path

TEMPLATE = """\
# Mosquitto for Zhisan: mutual TLS on every listener, no anonymous access, an access list written by the cloud.
# SIGHUP reads the access list, the revocation list and the certificates again (verified with 2.0.11).
per_listener_settings false
allow_anonymous false
acl_file {files}/access
pid_file {pid_file}
persistence false
max_queued_messages {queued_max}
max_packet_size 4194304
max_inflight_bytes 16777216
max_keepalive 300
log_type error
log_type warning
log_type notice

# For gateways. A gateway's certificate is its user name, and its user name is its client id: nobody can take another's
# connection away, and the cloud can end that of a revoked gateway by taking its place.
listener {gateway_port} {gateway_address}
{tls}use_username_as_clientid true
max_connections {connections_max}

# For the cloud alone: its connections have client ids of their own. Keep this port closed to gateways.
listener {host_port} {host_address}
{tls}"""
TLS = """\
cafile {files}/ca.pem
certfile {files}/server.pem
keyfile {files}/server.key
crlfile {files}/crl.pem
require_certificate true
use_identity_as_username true
tls_version tlsv1.2
ciphers ECDHE+AESGCM:ECDHE+CHACHA20
"""
QUEUED_MAX, CONNECTIONS_MAX = 1_000, 10_000
HOST_PORT = 8884


def configuration(
    files: Path,
    pid_file: Path,
    *,
    gateway_port: int = 8883,
    gateway_address: str = "",
    host_port: int = HOST_PORT,
    host_address: str = "127.0.0.1",
    queued_max: int = QUEUED_MAX,
) -> str:
    """The text of mosquitto.conf; `files` is the folder that the cloud writes (`gateways.broker_dir`)."""
    return TEMPLATE.format(
        files=files,
        pid_file=pid_file,
        tls=TLS.format(files=files),
        gateway_port=gateway_port,
        gateway_address=gateway_address,
        host_port=host_port,
        host_address=host_address,
        queued_max=queued_max,
        connections_max=CONNECTIONS_MAX,
    )


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.mosquitto.configuration", description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder of access, crl.pem, ca.pem, server.pem/.key")
    parser.add_argument("--pid-file", type=Path, default=Path("/run/mosquitto/mosquitto.pid"))
    parser.add_argument("--port", type=int, default=8883, help="for gateways (default: %(default)s)")
    parser.add_argument("--address", default="", help="that gateways reach; by default all")
    parser.add_argument("--host-port", type=int, default=HOST_PORT, help="for the cloud (default: %(default)s)")
    parser.add_argument("--host-address", default="127.0.0.1", help="that the cloud reaches (default: %(default)s)")
    given = parser.parse_args()
    text = configuration(
        given.files.absolute(),
        given.pid_file,
        gateway_port=given.port,
        gateway_address=given.address,
        host_port=given.host_port,
        host_address=given.host_address,
    )
    print(text, end="")


if __name__ == "__main__":
    main()
