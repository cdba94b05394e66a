"""The settings of sign-up."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cloud.entitlements.domain import Tier
from cloud.self_service.desk import Signup
from cloud.self_service.domain import Currency, Pack, Tax
from kit.settings import Settings


class PackSettings(Settings):
    """One standard pack that a company may choose."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")] = Field(description="Its id; unique.")
    label_zh: str = Field(min_length=1, max_length=64, description="Name on the Chinese page.")
    label_en: str = Field(min_length=1, max_length=64, description="Name on the English page.")
    tier: Tier = Field(Tier.LONG_TAIL, description="Tier that it comes with.")
    price_minor: int = Field(
        0, ge=0, le=1_000_000_000_000, description="Price a month in whole minor units (fen, cents); 0: no invoices."
    )
    currency: Currency = Field("CNY", description="Currency of the price.")


STARTER = PackSettings(name="starter", label_zh="入门包", label_en="Starter")


class TaxSettings(Settings):
    """What is added to every invoice; a rate of 0 is told on it too."""

    label_zh: str = Field("增值税", min_length=1, max_length=64, description="Name on the Chinese invoice.")
    label_en: str = Field("VAT", min_length=1, max_length=64, description="Name on the English invoice.")
    percent: Decimal = Field(
        Decimal(0), ge=0, le=50, decimal_places=2, description="Rate in per cent, with two decimals at most."
    )

    def tax(self) -> Tax:
        """As invoices take it."""
        return Tax({"zh-CN": self.label_zh, "en": self.label_en}, int(self.percent * 100))


class SignupSettings(Settings):
    """Whether companies may sign up by themselves."""

    enabled: bool = Field(False, description="Whether the page /signup is there.")
    confirm: Literal["mail", "link"] = Field(
        "mail",
        description="`mail` sends the link that confirms an address by `webhooks.mail`; `link` shows it on the page, "
        "for networks that only one's own people reach.",
    )
    packs: tuple[PackSettings, ...] = Field(
        (STARTER,), min_length=1, max_length=20, description="Packs to choose from, in this order."
    )

    tax: TaxSettings = TaxSettings()

    @model_validator(mode="after")
    def _names_once(self) -> "SignupSettings":
        names = [pack.name for pack in self.packs]
        if len(set(names)) < len(names):
            raise ValueError("more than one pack has the same name")
        return self

    def signup(self) -> Signup:
        """As self-service takes it."""
        packs = tuple(
            Pack(one.name, one.tier, one.price_minor, one.currency, {"zh-CN": one.label_zh, "en": one.label_en})
            for one in self.packs
        )
        return Signup(self.enabled, packs, by_mail=self.confirm == "mail", tax=self.tax.tax())
