"""Providers for the tests of single sign-on: a real one in a process of its own, and one that lies as it is told."""

import base64
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import free_port

START_S_MAX = 30.0
Claims = dict[str, Any]


@contextmanager
def real_provider(*people: Claims) -> Iterator[str]:
    """A provider that knows these people; its issuer."""
    issuer = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "1"]
    for claims in people:
        command += ["--user-claims", json.dumps(claims)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + START_S_MAX
        while not _answers(f"{issuer}/.well-known/openid-configuration"):
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        yield issuer
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class LyingProvider:
    """Honest until told otherwise; `asked` counts what was asked of it, by path."""

    issuer: str = ""
    key: jwk.RSAKey = field(default_factory=lambda: jwk.RSAKey.generate_key(2048, {"kid": "first"}))
    claims: Claims = field(default_factory=dict)
    question: dict[str, str] = field(default_factory=dict)
    sign: Callable[["LyingProvider", Claims], str] | None = None
    discovery: Callable[[Claims], Response] | None = None
    userinfo: Claims = field(default_factory=dict)
    body: Claims = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def token(self, claims: Claims, **header: str) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, **header}, claims, self.key)

    def metadata(self) -> Claims:
        names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
        endpoints = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return {"issuer": self.issuer, "userinfo_endpoint": f"{self.issuer}/userinfo", **endpoints}

    def was_asked(self, url: str) -> None:
        """Take note of the question with which a browser was sent out."""
        self.question = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._jwks),
                Route("/token", self._token, methods=["POST"]),
                Route("/userinfo", self._userinfo),
            ]
        )

    def _count(self, request: Request) -> None:
        self.asked[request.url.path] = self.asked.get(request.url.path, 0) + 1

    async def _discovery(self, request: Request) -> Response:
        self._count(request)
        return self.discovery(self.metadata()) if self.discovery else JSONResponse(self.metadata())

    async def _jwks(self, request: Request) -> Response:
        self._count(request)
        strange = [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "RSA", "n": 5}, 7]
        return JSONResponse({"keys": [*strange, self.key.as_dict(private=False)]})

    async def _token(self, request: Request) -> Response:
        self._count(request)
        form = await request.form()
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        login = base64.b64decode(request.headers["authorization"].partition(" ")[2])
        is_known = login == b"zhisan:s3cret" and form["redirect_uri"] == self.question["redirect_uri"]
        if challenge != self.question["code_challenge"] or not is_known:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now_s = int(time.time())
        honest = {
            "iss": self.issuer,
            "aud": "zhisan",
            "sub": "s-1",
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": self.question["nonce"],
            "email": "eve@plant.example",
            "email_verified": True,
        }
        claims = {name: value for name, value in {**honest, **self.claims}.items() if value is not None}
        signed = self.sign(self, claims) if self.sign else self.token(claims)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": signed, **self.body})

    async def _userinfo(self, request: Request) -> Response:
        self._count(request)
        assert request.headers["authorization"] == "Bearer a"
        return JSONResponse(self.userinfo)


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    """It serves until the block ends."""
    provider = LyingProvider()
    config = uvicorn.Config(provider.app(), host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="lying provider")
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    provider.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
