"""The model card of a bundle made from a table: what it learned from, how good it is, and how that was found out."""

from collections import Counter

from models.runtime.bundle import Bundle
from models.training.tabular.protocol import CONFIDENCE, Report
from models.training.tabular.table import Table


def card_of(table: Table, report: Report, bundle: Bundle, *, data: str, sha256: str, seed: int) -> str:
    """Markdown, after Mitchell et al., "Model Cards for Model Reporting" (2019)."""
    low, high = report.score.interval
    lines = [
        f"# Model card: bundle {bundle.bundle_id}",
        "",
        f"Predicts {'the class of' if table.classes else 'a quantity for'} a row of a table of the same columns.",
        "",
        "## Data",
        "",
        f"- `{data}`, sha256 `{sha256}`: {len(table.labels)} labelled rows, {table.rows_without_label} without a label",
        f"- inputs ({len(table.inputs)}): {', '.join(table.inputs)}",
        f"- left out: {', '.join(table.dropped) or 'nothing'}",
    ]
    if table.classes:
        counts = Counter(table.classes[int(label)] for label in table.labels)
        lines.append(f"- classes: {', '.join(f'{name} ({counts[name]})' for name in table.classes)}")
    lines += [
        "",
        "## How good it is",
        "",
        f"{report.protocol}; seed {seed}.",
        "",
        "| | |",
        "|---|---|",
        f"| **{report.metric}** | **{report.score.mean:.4f}** ({CONFIDENCE:.0%} interval {low:.4f} to {high:.4f}) |",
        *(f"| {name} | {value:.4f} |" for name, value in report.more.items()),
        *(f"| F1 of {name} | {value:.4f} |" for name, value in report.by_class.items()),
        *(f"| {report.metric} of {name} (baseline) | {value:.4f} |" for name, value in report.baselines.items()),
    ]
    if report.random_split is not None:
        lines.append(f"| {report.metric} under random folds, which flatter | {report.random_split:.4f} |")
    chosen = Counter(" + ".join(choice.speaking) for choice in report.choices)
    lines += [
        "",
        "## What was chosen",
        "",
        *(f"- {name}: in {count} of {len(report.choices)} folds" for name, count in chosen.most_common()),
        "",
        "## Limits",
        "",
        "- It knows rows like those that it learned from. A new press, mould or material is not among them unless the",
        "  groups of the protocol were such.",
        "- The interval is of this procedure on this table; it says nothing of what the table lacks.",
        "",
    ]
    return "\n".join(lines)
