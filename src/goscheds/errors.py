"""Every error of goscheds, in one tree. A message says what happened, to what, and what to do."""

from __future__ import annotations

from datetime import datetime, timedelta


class GoschedsError(Exception):
    """The root of the tree."""


class ConfigError(GoschedsError, ValueError):
    """A scheduler, worker or store was set up in a way that can't work."""


class UnknownScheme(ConfigError):
    """No installed store answers to the URL's scheme."""


class PluginConflict(ConfigError):
    """Two plugins claim the same URL scheme."""


class InvalidJob(GoschedsError, ValueError):
    """A job was refused; nothing was stored."""


class BadArguments(InvalidJob, TypeError):
    """The arguments are not JSON, or don't fit the handler's signature and type hints."""


class PayloadTooLarge(InvalidJob):
    """The encoded job is over the limit."""


class BadMoment(InvalidJob):
    """A naive datetime, or a moment outside 1970 to 2200."""


class JobNotFound(GoschedsError, LookupError):
    """The store has no job of that id: never pushed, or purged since."""


class JobFailed(GoschedsError):
    """``result`` was asked of a job that ended dead or cancelled."""


class ResultTimeout(GoschedsError, TimeoutError):
    """``result`` waited as long as it was told to, and the job has not ended."""


class ResultNotKept(GoschedsError):
    """``result`` was asked of a done job whose value was not JSON, or too large to keep."""


class NotMoved(GoschedsError):
    """A job could not be retried or rescheduled from the state it is in."""


class StoreError(GoschedsError):
    """The store answered with an error; the driver's own is the cause."""


class StoreUnavailable(StoreError):
    """The store did not answer. Whether the call took effect is unknown; every verb may be repeated."""


class SchemaTooNew(StoreError):
    """The store was written by a later goscheds than this one."""


class GiveUp(GoschedsError):
    """Raise it in a handler to end the job as dead at once, with ``reason``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RunAgain(GoschedsError):
    """Raise it in a handler to run the job again ``after`` a time or ``at`` a moment. It counts as an attempt."""

    def __init__(self, after: timedelta | None = None, *, at: datetime | None = None, reason: str = "") -> None:
        if (after is None) == (at is None):
            raise ConfigError("RunAgain needs either `after` (a timedelta) or `at` (an aware datetime), and not both.")
        super().__init__(reason or (f"run again after {after}" if after is not None else f"run again at {at}"))
        self.after = after
        self.at = at
        self.reason = reason


class JobCancelled(GoschedsError):
    """Raised by ``Context.check`` in a handler whose job was cancelled or lost to another worker."""
