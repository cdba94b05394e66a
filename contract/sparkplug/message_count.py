"""Does an encoded payload hold few enough messages to be parsed?

An empty message takes two bytes on the wire and more than a hundred in memory, so that 4 MiB of them would become
300 MiB. This walk over the bytes finds out before anything is allocated.
"""

from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from contract.sparkplug.errors import PayloadError
from contract.sparkplug.limits import MESSAGES_MAX
from contract.sparkplug.sparkplug_b_pb2 import Payload as Wire

_VARINT_BYTES_MAX: Final = 10


def check_message_count(data: bytes) -> None:
    """Return when the payload and all that is nested in it are at most MESSAGES_MAX messages and repeated strings.

    Raises:
        PayloadError: there are more, or the bytes are malformed on the way.
    """
    count = 0
    todo: list[tuple[int, int, Any]] = [(0, len(data), Wire.DESCRIPTOR)]
    while todo:
        position, end, kind = todo.pop()
        nested = _nested(kind)
        while position < end:
            tag, position = _varint(data, position)
            start, position = _skip(data, tag & 7, position)
            if position > end:
                raise PayloadError("a field reaches beyond its message")
            if tag & 7 == 2 and tag >> 3 in nested:
                count += 1
                if count > MESSAGES_MAX:
                    raise PayloadError(f"more than {MESSAGES_MAX} messages in one payload")
                inner = nested[tag >> 3]
                if inner is not None:
                    todo.append((start, position, inner))


@cache
def _nested(kind: Any) -> dict[int, Any]:
    """The fields of a message that hold messages, and (without a kind) those that hold many strings."""
    return {
        field.number: field.message_type
        for field in kind.fields
        if field.message_type is not None or (field.type == FieldDescriptor.TYPE_STRING and field.is_repeated)
    }


def _skip(data: bytes, wire_type: int, position: int) -> tuple[int, int]:
    """Where a field's content starts and ends."""
    if wire_type == 2:
        size, position = _varint(data, position)
        return position, position + size
    if wire_type == 0:
        return position, _varint(data, position)[1]
    if wire_type == 1:
        return position, position + 8
    if wire_type == 5:
        return position, position + 4
    raise PayloadError(f"wire type {wire_type}")  # groups: no Sparkplug writer makes them


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[position : position + _VARINT_BYTES_MAX]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, position + index + 1
    raise PayloadError("a number without its end")
