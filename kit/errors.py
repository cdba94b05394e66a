"""The root of every error that this project raises on purpose."""


class ZhisanError(Exception):
    """Something the world did; the message says what happened, to what, and what to do next."""
