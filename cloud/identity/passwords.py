"""Which passwords are taken, and how they are kept: NIST SP 800-63B section 5.1.1 and OWASP's Argon2id figures."""

from typing import Final

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from kit.errors import ZhisanError

CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 128
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
"""19 MiB, two passes, one lane: OWASP Password Storage Cheat Sheet, Argon2id."""
AT_ONCE_MAX: Final = 2
DISTINCT_CHARACTERS_MIN: Final = 5
COMMON: Final = frozenset(
    {
        "password1234",
        "passw0rd1234",
        "password12345",
        "password123456",
        "password123!",
        "passwordpassword",
        "administrator",
        "admin123456789",
        "administrator1",
        "letmein12345",
        "letmeinletmein",
        "welcome12345",
        "welcome123456",
        "changeme12345",
        "changemechangeme",
        "iloveyou1234",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwerty123456",
        "qwerty1234567",
        "qwertyqwerty",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "zaq12wsxcde3",
        "123456789012",
        "1234567890123",
        "12345678901234",
        "1234567890ab",
        "abc123abc123",
        "abcdefghijkl",
        "abcd12345678",
        "a1b2c3d4e5f6",
        "monkey123456",
        "dragon123456",
        "football1234",
        "baseball1234",
        "sunshine1234",
        "princess1234",
        "superman1234",
        "trustno1trustno1",
        "zhisan123456",
        "zhisanzhisan",
        "woaini1314520",
        "5201314520131",
        "asdfghjkl123",
        "asdfasdfasdf",
        "111111222222",
        "112233445566",
    }
)
"""The commonest that are long enough; no list can hold all, which is why sign-in is slow and locks."""


class PasswordError(ZhisanError):
    """A password that is not taken; `reason` is `short`, `long`, `common` or `name`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The password is not taken: {reason}.")
        self.reason = reason


def check(password: str, login: str) -> None:
    """Refuse what is guessed first; there is no rule of how to compose one.

    Raises:
        PasswordError: it is too short, too long, common, or made of the login.
    """
    folded, name = password.casefold(), login.partition("@")[0].casefold()
    if len(password) < CHARACTERS_MIN:
        raise PasswordError("short")
    if len(password) > CHARACTERS_MAX:
        raise PasswordError("long")
    if folded in COMMON or len(set(folded)) < DISTINCT_CHARACTERS_MIN:
        raise PasswordError("common")
    if len(name) >= 4 and name in folded:
        raise PasswordError("name")


class Passwords:
    """Argon2id, at most two at once and off the event loop; an unknown login takes as long as a known one."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        self._hasher = PasswordHash((Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES),))
        self._limiter = CapacityLimiter(AT_ONCE_MAX)
        self._nobodys = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def is_right(self, password: str, kept: str | None) -> bool:
        """Whether it is the password of which `kept` was kept; never when there is none."""
        right = await to_thread.run_sync(self._hasher.verify, password, kept or self._nobodys, limiter=self._limiter)
        return right and kept is not None
