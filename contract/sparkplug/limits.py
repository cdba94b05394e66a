"""The bounds of a payload, for reading and for writing."""

from typing import Final

PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024
METRICS_MAX: Final = 20_000
MESSAGES_MAX: Final = 200_000  # metrics, rows, cells, properties and column names together
NESTING_MAX: Final = 8  # templates in templates, property sets in property sets
SEQ_MAX: Final = 255
TIMESTAMP_MS_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999, beyond which calendars give up
