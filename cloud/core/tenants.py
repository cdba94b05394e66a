"""Whose data a request sees: the tenant of who asks, found in this one place."""

from typing import Annotated, NewType

from fastapi import Depends

from cloud.core.access import Principal, Right, requires

TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("default")
"""The company that runs this installation; owner of every plant that introduces itself unclaimed."""


def current_tenant(principal: Annotated[Principal, requires(Right.READ)]) -> TenantId:
    """The tenant of the request, for whoever may read in it."""
    return TenantId(principal.tenant_id)


Tenant = Annotated[TenantId, Depends(current_tenant)]
