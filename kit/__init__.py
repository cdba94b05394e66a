"""What every program needs and no domain word: clock, ids, settings, logging, errors."""
