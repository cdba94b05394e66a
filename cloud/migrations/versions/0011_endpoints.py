"""Endpoints that people make: templates, filters, sealed secrets, circuit breakers, and a log of every try."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from kit.ids import uuid7

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

DAY_MS = 24 * 3600 * 1000
DEFAULT_KINDS = ["alarm.raised", "alarm.acknowledged", "alarm.cleared", "alarm.escalated"]


def upgrade() -> None:
    op.create_table(
        "endpoints", *_endpoint_columns(), sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_endpoints"))
    )
    there = sa.text("removed_ms IS NULL")
    op.create_index(
        "uq_endpoints_name", "endpoints", ["tenant_id", "name"], unique=True, sqlite_where=there, postgresql_where=there
    )
    op.create_table(
        "deliveries_new",
        *_delivery_columns(),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("order_key", sa.String(length=128), nullable=False),
        sa.Column("give_up_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.endpoint_id"], name=op.f("fk_deliveries_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries_of_endpoints")),
        sa.UniqueConstraint("endpoint_id", "event_id", name=op.f("uq_deliveries_endpoint_id_event_id")),
    )
    _move()
    op.drop_table("deliveries")
    op.drop_table("webhook_endpoints")
    op.rename_table("deliveries_new", "deliveries")
    for columns in (
        ["endpoint_id", "state", "next_attempt_ms"],
        ["endpoint_id", "order_key", "state", "event_id"],
        ["state", "give_up_ms"],
        ["tenant_id", "delivery_id"],
    ):
        op.create_index(op.f(f"ix_deliveries_{'_'.join(columns)}"), "deliveries", columns)
    op.create_table(
        "delivery_attempts",
        sa.Column("attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("request_headers", sa.JSON(), nullable=False),
        sa.Column("request_body", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("answer_headers", sa.JSON(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.delivery_id"],
            name=op.f("fk_delivery_attempts_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_delivery_attempts")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_delivery_attempts_delivery_id_attempt_id"), "delivery_attempts", ["delivery_id", "attempt_id"]
    )


def downgrade() -> None:
    """The tables of before, empty: endpoints that people have made, and what is owed to them, have no place there."""
    for table in ("delivery_attempts", "deliveries", "endpoints"):
        op.drop_table(table)
    op.create_table(
        "webhook_endpoints",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("is_configured", sa.Boolean(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "deliveries",
        *_delivery_columns(),
        sa.Column("endpoint", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint"], ["webhook_endpoints.name"], name=op.f("fk_deliveries_endpoint_webhook_endpoints")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("endpoint", "event_id", name=op.f("uq_deliveries_endpoint_event_id")),
    )
    for columns in (["endpoint", "state", "next_attempt_ms"], ["tenant_id", "delivery_id"]):
        op.create_index(op.f(f"ix_deliveries_{'_'.join(columns)}"), "deliveries", columns)


def _endpoint_columns() -> list[sa.Column[Any]]:
    name, text, number, flag = sa.String(length=128), sa.Text(), sa.BigInteger(), sa.Boolean()
    needed: list[tuple[str, sa.types.TypeEngine[Any]]] = [
        ("tenant_id", name),
        ("name", name),
        ("template", name),
        ("language", name),
        ("time_zone", name),
        ("sealed", text),
        ("url_shown", text),
        *((column, sa.JSON()) for column in ("recipients", "kinds", "plants", "presses", "modes")),
        *((column, flag) for column in ("may_call_private", "is_from_settings", "is_enabled")),
        ("disabled_reason", name),
        *((column, number) for column in ("created_ms", "failures", "openings")),
        ("last_error", text),
    ]
    optional: list[tuple[str, sa.types.TypeEngine[Any]]] = [
        ("priority_min", name),
        *(
            (column, number)
            for column in (
                "old_secret_until_ms",
                "removed_ms",
                "probe_at_ms",
                "resume_at_ms",
                "last_success_ms",
                "last_failure_ms",
            )
        ),
    ]
    return [
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        *(sa.Column(column, kind, nullable=False) for column, kind in needed),
        *(sa.Column(column, kind, nullable=True) for column, kind in optional),
    ]


def _delivery_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("attempts", "created_ms")),
        *(
            sa.Column(name, sa.BigInteger(), nullable=True)
            for name in ("next_attempt_ms", "delivered_ms", "last_attempt_ms", "last_status")
        ),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("last_answer", "last_error")),
    ]


def _move() -> None:
    """Endpoints get ids; what is owed to them stays owed. Their secrets come from the settings at the next start."""
    connection = op.get_bind()
    old_endpoints = sa.Table("webhook_endpoints", sa.MetaData(), autoload_with=connection)
    old_deliveries = sa.Table(
        "deliveries", sa.MetaData(), *_delivery_columns(), *map(sa.Column, ("endpoint", "event_id"))
    )
    endpoints = sa.Table("endpoints", sa.MetaData(), *_endpoint_columns())
    added = (
        ("endpoint_id", sa.Uuid()),
        ("event_id", sa.BigInteger()),
        ("order_key", sa.Text()),
        ("give_up_ms", sa.BigInteger()),
    )
    new_columns = (sa.Column(name, kind) for name, kind in added)
    deliveries = sa.Table("deliveries_new", sa.MetaData(), *_delivery_columns(), *new_columns)
    ids = {}
    for row in connection.execute(sa.select(old_endpoints)).mappings():
        ids[row["name"]] = uuid7(row["created_ms"])
        connection.execute(
            endpoints.insert().values(
                endpoint_id=ids[row["name"]],
                tenant_id=row["tenant_id"],
                name=row["name"],
                template="json",
                language="zh-CN",
                time_zone="UTC",
                sealed="",
                url_shown=row["url"].partition("?")[0],
                recipients=[],
                kinds=DEFAULT_KINDS,
                plants=[],
                presses=[],
                modes=[],
                may_call_private=False,
                is_from_settings=True,
                is_enabled=not row["is_gone"],
                disabled_reason="gone" if row["is_gone"] else "",
                created_ms=row["created_ms"],
                removed_ms=None if row["is_configured"] else row["created_ms"],
                failures=0,
                openings=0,
                last_error="",
            )
        )
    for row in connection.execute(sa.select(old_deliveries)).mappings().all():
        fields = {name: row[name] for name in deliveries.columns.keys() & row.keys()}
        alarm_id = json.loads(row["body"]).get("data", {}).get("alarm_id")
        fields |= {
            "endpoint_id": ids[row["endpoint"]],
            "order_key": str(alarm_id or row["delivery_id"])[:128],
            "give_up_ms": row["created_ms"] + DAY_MS,
        }
        connection.execute(deliveries.insert().values(**fields))
