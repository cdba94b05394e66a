"""Topics of the namespace spBv1.0: text to typed value and back."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from contract.sparkplug.errors import TopicError

NAMESPACE: Final = "spBv1.0"
ID_CHARS_MAX: Final = 128
TOPICS_CACHED_MAX: Final = 65_536

# The specification forbids + / and #. Spaces of any kind, control characters and what is not text are refused by a rule
# of ours: they survive neither access lists nor shells nor log files.
_REFUSED = re.compile(r"[+#/\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


class Verb(StrEnum):
    """The message types that belong to a node or a device."""

    NBIRTH = "NBIRTH"
    NDATA = "NDATA"
    NDEATH = "NDEATH"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDATA = "DDATA"
    DDEATH = "DDEATH"
    DCMD = "DCMD"

    @property
    def is_of_device(self) -> bool:
        """Whether a device id belongs into the topic."""
        return self.value.startswith("D")


_VERBS: Final = {verb.value: verb for verb in Verb}


@dataclass(frozen=True, slots=True, order=True)
class NodeKey:
    """An edge node's address, unique in the infrastructure."""

    group_id: str
    node_id: str

    def __str__(self) -> str:
        return f"{self.group_id}/{self.node_id}"


@dataclass(frozen=True, slots=True)
class NodeTopic:
    """Topic of NBIRTH, NDATA, NDEATH or NCMD; `str()` gives its text."""

    verb: Verb
    node: NodeKey

    def __str__(self) -> str:
        return f"{NAMESPACE}/{self.node.group_id}/{self.verb}/{self.node.node_id}"


@dataclass(frozen=True, slots=True)
class DeviceTopic:
    """Topic of DBIRTH, DDATA, DDEATH or DCMD; `str()` gives its text."""

    verb: Verb
    node: NodeKey
    device_id: str

    def __str__(self) -> str:
        return f"{NAMESPACE}/{self.node.group_id}/{self.verb}/{self.node.node_id}/{self.device_id}"


@dataclass(frozen=True, slots=True)
class StateTopic:
    """Topic of a host application's STATE; `str()` gives its text."""

    host_id: str

    def __str__(self) -> str:
        return f"{NAMESPACE}/STATE/{self.host_id}"


Topic = NodeTopic | DeviceTopic | StateTopic


def check_id(text: str) -> str:
    """The id itself when it may stand in a topic.

    Raises:
        TopicError: it is empty, longer than 128 characters, or holds one of + / #, a space or a control character.
    """
    if not text:
        raise TopicError(text, "an id must not be empty")
    if len(text) > ID_CHARS_MAX:
        raise TopicError(text, f"an id has at most {ID_CHARS_MAX} characters")
    if found := _REFUSED.search(text):
        raise TopicError(text, f"an id must not hold {found.group()!r}")
    return text


@lru_cache(maxsize=TOPICS_CACHED_MAX)
def parse(topic: str) -> Topic:
    """Read a topic; the answers are cached, since a fleet uses the same few thousand for ever.

    Raises:
        TopicError: it is not of this namespace, its verb is unknown, or an id in it is refused by `check_id`.
    """
    namespace, *levels = topic.split("/")
    if namespace != NAMESPACE:
        raise TopicError(topic, f"does not begin with {NAMESPACE}/")
    if len(levels) == 2 and levels[0] == "STATE":
        return StateTopic(check_id(levels[1]))
    if len(levels) not in (3, 4):
        raise TopicError(topic, "has the wrong number of levels")
    group_id, verb_text, node_id, *device = levels
    verb = _VERBS.get(verb_text)
    if verb is None:
        raise TopicError(topic, f"has no such verb as {verb_text[:20]!r}")
    if verb.is_of_device != bool(device):
        raise TopicError(topic, f"{verb} goes with{'' if verb.is_of_device else 'out'} a device id")
    node = NodeKey(check_id(group_id), check_id(node_id))
    return DeviceTopic(verb, node, check_id(device[0])) if device else NodeTopic(verb, node)
