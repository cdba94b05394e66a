"""Nothing in the repository is a secret: no private key, no token, and signing secrets in tests are examples."""

import base64
import binascii
import re
import subprocess
from pathlib import Path

import pytest

FILE_BYTES_MAX = 5_000_000
FORMS = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    "cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "API key of ours": re.compile(r"\bzsk_[0-9a-f]{32}_[A-Za-z0-9_-]{43}"),
    "code host token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,}|glpat-[\w-]{20,})"),
    "chat token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "web service key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b|\bsk-[A-Za-z0-9_-]{32,}|\b[sr]k_live_[0-9A-Za-z]{20,}"),
    "registry token": re.compile(r"\bpypi-[A-Za-z0-9_-]{50,}|\bnpm_[A-Za-z0-9]{36}\b"),
    "signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "password hash": re.compile(r"\$argon2id?\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{16,}\$[A-Za-z0-9+/]{32,}"),
    "password in an address": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'{}<>]+:[^\s/:@\"'{}<>]{6,}@[\w.-]+"),
}
WEBHOOK_SECRET = re.compile(r"\bwhsec_([A-Za-z0-9+/]{20,}={0,2})")
KEY_FILES = {".pem", ".key", ".p12", ".pfx", ".jks", ".kdbx", ".der", ".sqlite", ".env"}


@pytest.fixture(scope="module")
def files(root: Path) -> list[Path]:
    """What is tracked, and what could be: files that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in sorted(set(listed.stdout.split("\0"))) if name and (path := root / name).is_file()]


def secrets_in(text: str) -> list[str]:
    """The kinds of secrets in a text; a webhook secret that is plain ASCII is an example, not a secret."""
    found = [name for name, form in FORMS.items() if form.search(text)]
    return found + ["webhook secret" for encoded in WEBHOOK_SECRET.findall(text) if not _is_example(encoded)]


def _is_example(encoded: str) -> bool:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return True
    return raw.isascii() and raw.decode("ascii").isprintable()


def test_no_file_holds_a_secret(files: list[Path], root: Path) -> None:
    assert len(files) > 100
    found = {
        str(path.relative_to(root)): kinds
        for path in files
        if path.stat().st_size <= FILE_BYTES_MAX
        and (kinds := secrets_in(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


def test_no_file_is_a_key_store_or_a_database(files: list[Path]) -> None:
    assert [path.name for path in files if path.suffix in KEY_FILES or path.name == ".env"] == []


@pytest.mark.parametrize(
    ("kind", "sample"),
    [
        ("private key", "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA" * 3),
        ("private key", "-----BEGIN " + "PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2Vw" * 3),
        ("cloud access key", "AKIA" + "IOSFODNN7EXAMPLE"),
        ("API key of ours", "zsk_" + "0a" * 16 + "_" + "x" * 43),
        ("code host token", "ghp_" + "a1" * 18),
        ("chat token", "xoxb-" + "1234567890-abc"),
        ("registry token", "pypi-" + "Ag" * 30),
        ("signed token", ".".join(("eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0In0", "dBjftJeZ4CVP-mB92K27"))),
        ("password hash", "$argon2id$v=19$m=65536,t=3,p=4$" + "c2FsdHNhbHRzYWx0c2Fs$" + "aGFz" * 11),
        ("password in an address", "postgresql://zhisan:" + "hunter22@db.example/x"),
        ("webhook secret", "whsec_" + base64.b64encode(bytes(range(200, 232))).decode()),
    ],
)
def test_each_kind_of_secret_would_be_found(kind: str, sample: str) -> None:
    assert secrets_in(f"value = '{sample}'\n") == [kind]


def test_what_only_speaks_of_secrets_is_no_secret() -> None:
    example = base64.b64encode(b"0123456789012345678901234567890 1").decode()
    assert secrets_in(f"whsec_{example} -----BEGIN PRIVATE KEY----- https://a.example/x:y@z ghp_ AKIA") == []
