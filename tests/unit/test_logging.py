"""What a log line may have: a traceback in it names lines of code, never the values of variables."""

import structlog

from kit import logging


def test_a_traceback_has_no_values_of_variables(capsys):
    for style in ("console", "json"):
        logging.configure(style)
        password = "correct horse"
        try:
            _fails(password)
        except ValueError:
            structlog.get_logger().exception("request_failed")
        told = capsys.readouterr().err
        assert "ValueError" in told
        assert "_fails" in told
        assert password not in told


def _fails(password: str) -> None:
    known = [password]
    raise ValueError(len(known))
