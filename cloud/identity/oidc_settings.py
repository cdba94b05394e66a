"""The settings section `[oidc]`: which providers people may sign in with."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cloud.core.access import Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity.oidc import Provider, is_safe_url
from kit.errors import ZhisanError
from kit.settings import Settings

PROVIDERS_MAX = 10
OPENID = "openid"

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$")]
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$")]


class ProviderSecretError(ZhisanError):
    """The variable that holds a provider's client secret is not set."""

    def __init__(self, provider: str, variable: str) -> None:
        super().__init__(f"oidc.providers {provider}: the environment variable {variable} is not set")
        self.provider = provider
        self.variable = variable


class ProviderSettings(Settings):
    """One OpenID Connect provider."""

    name: Name = Field(description="Short name, in the addresses of its sign-in; unique.")
    label_zh: str = Field(min_length=1, max_length=40, description="Its name on the button, in Chinese.")
    label_en: str = Field(min_length=1, max_length=40, description="Its name on the button, in English.")
    issuer: str = Field(max_length=255, description="Its issuer, exactly as it names itself; https.")
    client_id: str = Field(min_length=1, max_length=255, description="What it knows this installation as.")
    client_secret_variable: str = Field(
        "", description="Environment variable that holds the client secret; empty for a public client."
    )
    scopes: tuple[Scope, ...] = Field(
        (OPENID, "email", "profile"), max_length=20, description="What is asked for; `openid` must be among them."
    )
    allowed_domains: tuple[Domain, ...] = Field(
        (), max_length=100, description="Domains of e-mail addresses that are let in; empty: any."
    )
    tenant: str = Field(DEFAULT_TENANT, min_length=1, max_length=128, description="Tenant whose people it vouches for.")
    role: Literal["viewer", "operator", "engineer", "plant_manager"] = Field(
        "viewer", description="Role of accounts that are made at the first sign-in."
    )
    create_users: bool = Field(
        False,
        description="Whether who has no account gets one; needs `allowed_domains`. Else people are invited first.",
    )

    @field_validator("issuer")
    @classmethod
    def _is_issuer(cls, issuer: str) -> str:
        if not is_safe_url(issuer, plain_allowed=True) or "?" in issuer:
            raise ValueError("must be an https address without query and fragment (http only on this machine itself)")
        return issuer

    @model_validator(mode="after")
    def _fits(self) -> "ProviderSettings":
        if OPENID not in self.scopes:
            raise ValueError("scopes must hold openid")
        if self.create_users and not self.allowed_domains:
            raise ValueError("create_users needs allowed_domains, else whoever has an account at the provider gets in")
        return self

    def provider(self, environ: Mapping[str, str] = os.environ) -> Provider:
        """The provider with its secret.

        Raises:
            ProviderSecretError: its variable is not set.
        """
        secret = environ.get(self.client_secret_variable, "")
        if self.client_secret_variable and not secret:
            raise ProviderSecretError(self.name, self.client_secret_variable)
        return Provider(
            name=self.name,
            labels={"zh-CN": self.label_zh, "en": self.label_en},
            issuer=self.issuer,
            client_id=self.client_id,
            client_secret=secret,
            scopes=self.scopes,
            allowed_domains=frozenset(self.allowed_domains),
            tenant_id=self.tenant,
            role=Role(self.role),
            creates_users=self.create_users,
        )


class OidcSettings(Settings):
    """Sign-in by other providers."""

    public_url: str = Field(
        "",
        max_length=255,
        description="Address of these pages as browsers see it (`https://zhisan.example`); needed with providers.",
    )
    providers: tuple[ProviderSettings, ...] = Field(
        (), max_length=PROVIDERS_MAX, description="Each gets a button on the sign-in page."
    )

    @model_validator(mode="after")
    def _fits(self) -> "OidcSettings":
        for what in ("name", "issuer"):
            found = [getattr(provider, what) for provider in self.providers]
            twice = sorted({one for one in found if found.count(one) > 1})
            if twice:
                raise ValueError(f"more than one provider has the {what} {', '.join(twice)}")
        if self.providers and (not is_safe_url(self.public_url, plain_allowed=True) or "?" in self.public_url):
            raise ValueError("public_url must be the https address of these pages (http only on this machine itself)")
        return self
