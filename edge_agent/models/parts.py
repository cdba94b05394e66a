"""The parts of model handling, wired from the settings, so that the composition root needs a line for each."""

import random
from collections.abc import Callable

from edge_agent.identity.cloud_calls import CloudAddress
from edge_agent.identity.files import IdentityError, IdentityFiles
from edge_agent.models.desk import ModelDesk
from edge_agent.models.folder import BundleFolder
from edge_agent.models.loaded import LoadedBundle, load
from edge_agent.models.roster import Roster
from edge_agent.settings import EdgeSettings
from models.runtime.keys import TrustList, trust_list

TRUSTED_FOLDER = "trusted_keys"


def own_bundle(settings: EdgeSettings) -> LoadedBundle | None:
    """The bundle of the settings, verified as any other; None when none is named.

    Raises:
        BundleError: it is refused.
        KeyFileError: the trusted keys cannot be read.
    """
    path = settings.models.bundle
    return load(path, trust_of(settings)) if path is not None else None


def trust_of(settings: EdgeSettings) -> TrustList | None:
    """The trusted keys as they lie on disk now; None where signatures are not asked for.

    Raises:
        KeyFileError: they cannot be read. A folder that is not there by default holds no key.
    """
    if not settings.models.require_signature:
        return None
    folder = settings.models.trusted_keys
    if folder is None:
        folder = settings.gateway.state_dir / TRUSTED_FOLDER
        if not folder.exists():
            return TrustList()
    return trust_list(folder)


def desk(settings: EdgeSettings, roster: Roster, tell: Callable[[], None]) -> ModelDesk:
    """The task that takes orders."""
    return ModelDesk(
        roster,
        BundleFolder(settings.gateway.state_dir),
        lambda: trust_of(settings),
        lambda: _cloud(settings),
        tell,
        random.Random(),  # noqa: S311 - spreads tries, guards nothing
    )


def _cloud(settings: EdgeSettings) -> CloudAddress | None:
    """The address in the settings, else that of the cloud which claimed this gateway."""
    models = settings.models
    if models.cloud_url:
        return CloudAddress(models.cloud_url, str(models.cloud_ca_file or ""))
    files = IdentityFiles(settings.gateway.state_dir)
    try:
        about = files.read().about if files.exist() else None
    except IdentityError:
        return None
    return CloudAddress(about.cloud_url, about.cloud_ca_file) if about is not None else None
