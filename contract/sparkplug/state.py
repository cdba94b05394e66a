"""The STATE message of a host application: JSON on a retained topic (chapter 6.4.32)."""

import json
from typing import Any, Final, NamedTuple

from contract.sparkplug.errors import PayloadError
from contract.sparkplug.limits import TIMESTAMP_MS_MAX

STATE_BYTES_MAX: Final = 1024


class State(NamedTuple):
    """Whether a host is online, and when its session began (birth, will) or ended (clean death)."""

    is_online: bool
    timestamp_ms: int


def encode_state(state: State) -> bytes:
    """The JSON of a STATE message."""
    return json.dumps({"online": state.is_online, "timestamp": state.timestamp_ms}).encode()


def decode_state(payload: bytes) -> State:
    """Read a STATE message; keys that it has beyond the two are ignored.

    Raises:
        PayloadError: it is no JSON object with a boolean `online` and a whole, non-negative `timestamp`.
    """
    if len(payload) > STATE_BYTES_MAX:
        raise PayloadError(f"STATE of {len(payload)} bytes, at most {STATE_BYTES_MAX}")
    try:
        fields: Any = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise PayloadError("STATE is no JSON") from error
    if not isinstance(fields, dict):
        raise PayloadError("STATE is no JSON object")
    online, timestamp = fields.get("online"), fields.get("timestamp")
    if not isinstance(online, bool):
        raise PayloadError("STATE without a boolean `online`")
    if not isinstance(timestamp, int) or isinstance(timestamp, bool) or not 0 <= timestamp <= TIMESTAMP_MS_MAX:
        raise PayloadError("STATE without a whole `timestamp` before the year 10000")
    return State(online, timestamp)
