"""What of a path is logged: names, never what could be a token."""

import secrets

from hypothesis import given
from hypothesis import strategies as st

from cloud.core.request_ids import PATH_CHARACTERS_MAX, SEGMENT_CHARACTERS_MAX, path_for_log


def test_names_and_uuids_stay_and_tokens_go() -> None:
    alarm = "/api/v1/alarms/019b7616-0000-7000-8000-000000000000/acknowledge"
    assert path_for_log(alarm) == alarm
    assert path_for_log("/plants/suzhou/presses/IMM-02") == "/plants/suzhou/presses/IMM-02"
    assert path_for_log(f"/password/{secrets.token_urlsafe(32)}") == "/password/…"


@given(st.text(), st.text(alphabet="abcdef-_0123456789ABZ", min_size=SEGMENT_CHARACTERS_MAX + 13, max_size=100))
def test_a_long_part_is_nowhere_in_what_is_logged(before: str, token: str) -> None:
    logged = path_for_log(f"/{before}/{token}")
    assert token not in logged
    assert len(logged) <= PATH_CHARACTERS_MAX
