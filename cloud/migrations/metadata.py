"""The schema as the program's tables say it, all modules together."""

from sqlalchemy import MetaData

import cloud.alarms.rules.tables
import cloud.alarms.tables
import cloud.core.audit
import cloud.core.tables
import cloud.entitlements.tables
import cloud.fleet.tables
import cloud.gateways.tables
import cloud.identity.oidc_tables
import cloud.identity.tables
import cloud.ingest.tables
import cloud.maintenance.tables
import cloud.production.tables
import cloud.rollouts.tables
import cloud.self_service.tables
import cloud.serving.tables
import cloud.tiering.feed_tables
import cloud.tiering.manager_tables
import cloud.tiering.plan_tables
import cloud.tiering.playbook_tables
import cloud.tiering.tables
import cloud.webhooks.tables


def metadata() -> MetaData:
    """Every table."""
    return cloud.core.tables.Base.metadata
