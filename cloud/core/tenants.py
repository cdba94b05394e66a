"""Whose data a request sees: one default tenant until identities come, found in this one place."""

from typing import Annotated, NewType

from fastapi import Depends

TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("default")
"""Owner of every plant that introduces itself."""


def current_tenant() -> TenantId:
    """The tenant of the request."""
    return DEFAULT_TENANT


Tenant = Annotated[TenantId, Depends(current_tenant)]
