"""How whole the data are that a plant delivers: the share of its shots that came with all their signals. Pure."""


def whole_share(stored: int, lost: int, bare: int) -> float | None:
    """Of `stored` shots and `lost` ones, those that came with their curves; `bare` are stored without. None of none."""
    made = stored + lost
    return min(1.0, max(0.0, (stored - bare) / made)) if made else None
