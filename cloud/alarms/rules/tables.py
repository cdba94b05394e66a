"""The tables of rules: each as it is now, and all its versions."""

from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class RuleRow(Base):
    """A rule as it is now; deleted ones are kept, so that their versions can be read and ids are not used again."""

    __tablename__ = "alarm_rules"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    definition: Mapped[dict[str, Any]]
    changed_ms: Mapped[int]
    changed_by: Mapped[str]
    deleted_ms: Mapped[int | None]


class RuleVersionRow(Base):
    """A version of a rule: only ever added to."""

    __tablename__ = "alarm_rule_versions"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[dict[str, Any]]
    what: Mapped[str]
    at_ms: Mapped[int]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    why: Mapped[str] = mapped_column(Text)
