"""E-mail through a real SMTP server: what arrives, with TLS and a password, in both languages, and what is refused."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.core.database import Database, sqlite_url
from cloud.core.problems import InvalidFieldError
from cloud.gateways.authority import Authority, key_pem_of
from cloud.migrations.upgrade import upgrade
from cloud.webhooks import mail, repository
from cloud.webhooks.mail import MailRelay
from cloud.webhooks.rules import Draft
from deploy.local.processes import free_port
from kit.clock import SystemClock
from tests.integration.webhook_world import Outbox

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")]
"""With TLS from the first byte the server does not see that there is TLS."""
PASSWORD = "relay-password"


@dataclass
class Mailbox:
    """Takes mail; answers `refusals` first, one a mail."""

    refusals: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"


def is_ours(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword) -> AuthResult:
    is_right = data.login == b"zhisan" and data.password == PASSWORD.encode()
    return AuthResult(success=is_right, handled=False)


@dataclass(frozen=True)
class Pki:
    """An authority and a certificate of 127.0.0.1 and localhost by it."""

    ca: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    now_ms = SystemClock().utc_ms()
    authority, key = Authority.open(folder / "ca", now_ms), ec.generate_private_key(ec.SECP256R1())
    issued = authority.issue_server(key.public_key(), ["localhost", "127.0.0.1"], now_ms=now_ms, life_ms=86_400_000)
    for name, text in (("ca", authority.certificate_pem), ("crt", issued.certificate_pem), ("key", key_pem_of(key))):
        (folder / f"{name}.pem").write_text(text)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "crt.pem", folder / "key.pem")
    return Pki(folder / "ca.pem", server)


@contextmanager
def relaying(mailbox: Mailbox, pki: Pki, security: str) -> Iterator[int]:
    """A mail relay on loopback; its port."""
    port = free_port()
    wants_password = security != "none"
    server = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        ssl_context=pki.server if security == "tls" else None,
        tls_context=pki.server if security == "starttls" else None,
        require_starttls=security == "starttls",
        authenticator=is_ours if wants_password else None,
        auth_required=wants_password,
        auth_require_tls=security == "starttls",
    )
    server.start()
    try:
        yield port
    finally:
        server.stop()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    yield database
    await database.close()


def relay(port: int, pki: Pki | None, security: str, *, password: str = PASSWORD) -> MailRelay:
    login = ("zhisan", password) if security != "none" else ("", "")
    ca_file = str(pki.ca) if pki is not None else None
    return MailRelay("127.0.0.1", port, security, "Zhisan <alarms@zhisan.example>", *login, ca_file)  # type: ignore[arg-type]


WATCH = Draft("watch", "email", recipients=("li@plant.example", "wang@plant.example"), language="zh-CN")
ALARM = {"plant_id": "suzhou", "press_id": "IMM-02", "mode": "check_ring_wear", "priority": "high", "probability": 0.93}


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_mail_arrives_as_text_and_html(database: Database, pki: Pki, security: str) -> None:
    mailbox = Mailbox()
    with relaying(mailbox, pki, security) as port:
        outbox = Outbox(database, relay=relay(port, pki, security))
        await outbox.make(WATCH)
        await outbox.alarm(1, **{**ALARM, "comment": "<script>alert(1)</script>"})
        await outbox.send_all()
    [arrived], [recipients] = mailbox.mails, mailbox.recipients
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.last_status) == ("delivered", 250)
    assert recipients == ["li@plant.example", "wang@plant.example"]
    assert arrived["Subject"] == "【高】止逆环磨损 · suzhou/IMM-02：报警触发"
    assert arrived["Message-ID"] == f"<msg_{delivery.delivery_id}@zhisan.example>"
    assert arrived["References"] == "<alarm-alarm-1@zhisan.example>"
    text, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "位置: suzhou/IMM-02" in text.get_content()
    assert "<td" in html.get_content()
    assert "<script>" not in html.get_content()


async def test_a_mail_is_tried_again_with_the_same_id_in_the_endpoint_s_language(database: Database, pki: Pki) -> None:
    mailbox = Mailbox(refusals=["451 greylisted, come again"])
    with relaying(mailbox, pki, "starttls") as port:
        outbox = Outbox(database, relay=relay(port, pki, "starttls"))
        endpoint_id, _ = await outbox.make(WATCH)
        await outbox.change(endpoint_id, language="en")
        await outbox.alarm(1, **ALARM)
        await outbox.send_all()
    assert [one["Subject"] for one in mailbox.mails] == ["[High] Check-ring wear · suzhou/IMM-02: Alarm raised"]
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    async with database.reading() as session:
        second, first = await repository.attempts(session, delivery.delivery_id)
    assert (first.status, second.status) == (451, 250)
    assert "greylisted" in first.error
    assert first.request_headers["Message-ID"] == second.request_headers["Message-ID"]


async def test_who_is_refused_is_told_and_the_others_get_one_mail(database: Database, pki: Pki) -> None:
    mailbox = Mailbox()
    with relaying(mailbox, pki, "none") as port:
        outbox = Outbox(database, relay=relay(port, pki, "none"))
        await outbox.make(Draft("some", "email", recipients=("nobody@plant.example", "li@plant.example")))
        await outbox.alarm(1, **ALARM)
        await outbox.send_all()
    assert mailbox.recipients == [["li@plant.example"]]
    [delivery] = await outbox.deliveries()
    assert delivery.state == "delivered"
    assert "nobody@plant.example was refused" in delivery.last_answer


@pytest.mark.parametrize("wrong", ["password", "authority", "port", "recipients"])
async def test_what_keeps_a_mail_back_is_said_and_no_password_with_it(database: Database, pki: Pki, wrong: str) -> None:
    with relaying(Mailbox(), pki, "starttls") as port:
        ours = relay(
            free_port() if wrong == "port" else port,
            None if wrong == "authority" else pki,
            "starttls",
            password="not-the-password" if wrong == "password" else PASSWORD,
        )
        outbox = Outbox(database, relay=ours)
        recipients = ("nobody@plant.example",) if wrong == "recipients" else ("li@plant.example",)
        await outbox.make(Draft("some", "email", recipients=recipients))
        await outbox.alarm(1, **ALARM)
        await outbox.sender.send_due()
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    told = {"password": "535", "authority": "certificate", "port": "127.0.0.1", "recipients": "nobody@plant.example"}
    assert told[wrong] in delivery.last_error
    assert ours.password not in repr((delivery, ours))


@pytest.mark.parametrize(("password", "fault"), [(PASSWORD, ""), ("not-the-password", "535")])
async def test_the_check_tries_to_sign_in_at_the_relay(pki: Pki, password: str, fault: str) -> None:
    with relaying(Mailbox(), pki, "starttls") as port:
        found = await mail.fault_of(relay(port, pki, "starttls", password=password), seconds_max=5)
    assert found == fault if not fault else fault in found
    assert password not in found


async def test_without_a_relay_there_is_no_endpoint_of_this_kind(database: Database) -> None:
    with pytest.raises(InvalidFieldError, match=r"webhooks\.mail"):
        await Outbox(database).make(WATCH)
