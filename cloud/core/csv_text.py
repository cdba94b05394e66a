"""Lines of CSV files that people open in a spreadsheet."""

import csv
import io
from collections.abc import Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def guarded(text: str) -> str:
    """Text that a spreadsheet would run as a formula, with an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def csv_line(cells: Sequence[str]) -> str:
    """One line with its end; texts from outside are `guarded` before."""
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    return file.getvalue()
