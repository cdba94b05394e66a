"""What people want to know of a bundle: its model card, from the manifest. Pure."""

from typing import Any

from models.runtime.bundle import Bundle, Head, Manifest

DRIFT_FEATURES_SHOWN = 12


def card_of(bundle: Bundle) -> dict[str, Any]:
    """The card as JSON: all but the models, the golden rows and the normals."""
    manifest = bundle.manifest
    return {
        "heads": [_head(head) for head in manifest.heads],
        "features": len(manifest.features),
        "seed": manifest.seed,
        "labels": manifest.labels,
        "created_ms": manifest.created_ms,
        "commit": manifest.commit,
        "training": _training(manifest),
    }


def _head(head: Head) -> dict[str, Any]:
    return {
        "kind": head.kind,
        "file": head.file,
        "inputs": len(head.inputs),
        "classes": list(head.classes),
        "moulds": sorted(head.normals),
        "thresholds": dict(head.thresholds),
        "threshold_basis": head.threshold_basis,
        "abstain_above": head.abstain_above,
        "reliability": {
            name: [[each.rows, each.said, each.came] for each in bins] for name, bins in head.reliability.items()
        },
        "trained_on": head.trained_on,
        "metrics": dict(head.metrics),
        "measured_on": head.measured_on,
    }


def _training(manifest: Manifest) -> dict[str, Any]:
    """Of each mould the rows, and of some inputs of the first head the deciles around a press's median."""
    inputs = dict.fromkeys(name.partition("@")[0] for name in manifest.heads[0].inputs)
    wanted = list(inputs)[:DRIFT_FEATURES_SHOWN]
    return {
        mould_id: {
            "rows": summary.rows,
            "deciles": {name: list(summary.features[name].edges) for name in wanted if name in summary.features},
        }
        for mould_id, summary in manifest.training.items()
    }
