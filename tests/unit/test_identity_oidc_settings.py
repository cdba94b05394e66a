"""The settings of single sign-on: what would let strangers in is refused, secrets stay hidden."""

import pytest
from pydantic import ValidationError

from cloud.identity.oidc_settings import OidcSettings, ProviderSecretError, ProviderSettings

PROVIDER = {
    "name": "plant",
    "label_zh": "工厂",
    "label_en": "Plant",
    "issuer": "https://login.example/realms/main",
    "client_id": "zhisan",
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"issuer": "http://login.example"}, "https"),
        ({"issuer": "https://a:b@login.example"}, "https"),
        ({"issuer": "https://login.example?x=1"}, "https"),
        ({"create_users": True}, "allowed_domains"),
        ({"scopes": ["email"]}, "openid"),
        ({"role": "platform_admin"}, "viewer"),
        ({"name": "a/b"}, "pattern"),
    ],
)
def test_a_sign_in_provider_that_would_let_strangers_in_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ProviderSettings.model_validate({**PROVIDER, **change})


def test_a_sign_in_provider_needs_its_secret_and_the_address_of_the_pages() -> None:
    given = ProviderSettings.model_validate({**PROVIDER, "client_secret_variable": "PLANT_SECRET"})
    with pytest.raises(ProviderSecretError, match="PLANT_SECRET"):
        given.provider({})
    assert "s3cret" not in repr(given.provider({"PLANT_SECRET": "s3cret"}))
    with pytest.raises(ValidationError, match="public_url"):
        OidcSettings.model_validate({"providers": [PROVIDER]})
    with pytest.raises(ValidationError, match="more than one"):
        OidcSettings.model_validate({"public_url": "https://z.example", "providers": [PROVIDER, PROVIDER]})
