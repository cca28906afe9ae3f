"""Every error that the system raises on purpose.

One base, two families that decide Prefect's retries (`RetryableError`, `PermanentError`), and leaves that also
inherit the built-in they are. A message says what was wrong, the value, what was expected, where, and what to do
next; `hint` carries the last part by itself so that the command line can print it on its own line.
"""

from __future__ import annotations


class RewardDanceError(Exception):
    """Base of all errors; `where` names the file:row, task or id, `hint` what to do next."""

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.message]
        if self.where:
            parts.append(f"(at {self.where})")
        if self.hint:
            parts.append(f"Hint: {self.hint}")
        return " ".join(parts)


class RetryableError(RewardDanceError):
    """The same call may succeed later: a lock, a timeout, a server that is starting."""


class PermanentError(RewardDanceError):
    """The same call will fail again until somebody changes its input or the machine."""


class ConfigError(PermanentError, ValueError):
    """A configuration that cannot be used: unknown key, wrong type, a plug-in that does not load."""


class InvalidInputError(PermanentError, ValueError):
    """Input data that cannot be used as a whole (single bad rows become rejects instead)."""


class MediaError(InvalidInputError):
    """Bytes that are not the picture or clip they claim to be, or that pass a limit; `reason` is a short code."""

    def __init__(self, message: str, *, reason: str = "not_media", where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.reason = reason


class NotFoundError(PermanentError, LookupError):
    """An id, name, version or file that does not exist."""


class ConflictError(PermanentError, ValueError):
    """The request contradicts what is stored: a tag that exists, a version that cannot change."""


class CorruptDataError(PermanentError, ValueError):
    """Stored bytes whose hash is not the recorded one; names the shard and the key."""


class NewerSchemaError(PermanentError, RuntimeError):
    """A warehouse or shard made by a newer version of this software."""


class RejectLimitError(PermanentError, RuntimeError):
    """Good rows were committed, but the share of rejects passed its limit; the loop stops here."""


class DiskFullError(RetryableError, OSError):
    """No room left; nothing half-written stays behind."""


class BackendError(RetryableError, ConnectionError):
    """A service (annotation server, scorer) did not answer as it should."""


class TrainingError(PermanentError, ArithmeticError):
    """Training met NaN or Inf; the last good checkpoint is kept."""
