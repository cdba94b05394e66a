"""What can be wrong with bytes and topics that come from elsewhere."""

from kit.errors import ZhisanError


class PayloadError(ZhisanError):
    """A payload that cannot be read or written; `reason` names the part. Refuse the message and go on."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a Sparkplug B payload: {reason}")
        self.reason = reason


class TopicError(ZhisanError):
    """A topic, or an id meant for one, outside the namespace spBv1.0."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"{topic[:200]!r}: {reason}")
        self.topic = topic
        self.reason = reason
