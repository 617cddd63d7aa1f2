"""What can go wrong, arranged by what the engine does next.

    SyncdError
    ├── Unavailable      later: nothing was done there, ask again after ``retry_after_s``
    │   ├── NotSent      the connection failed before a byte left
    │   ├── RateLimited  refused for the token's limit
    │   └── Parked       the token's own budget is spent until ``until``; the lane waits
    ├── OutcomeUnknown   a write went out and nobody knows whether it took effect: look it up
    ├── Stale            the record is not as it was read: read it again
    ├── Gone             the record is not there (any more)
    ├── Taken            a record of this identity is already there: look it up and adopt it
    ├── Rejected         the system refuses this write for good: hold that record
    ├── AuthFailed       the token is not accepted: pause the connection
    ├── PlanRefused      the plan looks wrong: stop before the first write
    └── ConfigInvalid    the operator must mend the configuration: exit 2

A message names what is wrong and where; it never holds a person's data or a secret.
"""


class SyncdError(Exception):
    """The root of all errors that syncd raises on purpose."""


class Unavailable(SyncdError):
    """Nothing was done there; ask again later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotSent(Unavailable):
    """The connection failed before a byte of the request left."""


class RateLimited(Unavailable):
    """The system refused the call for the token's rate limit."""


class Parked(Unavailable):
    """The token's budget is spent until ``until`` (epoch seconds), longer than a caller should sleep."""

    def __init__(self, message: str, *, until: float) -> None:
        super().__init__(message)
        self.until = until


class OutcomeUnknown(SyncdError):
    """A write was sent and nobody knows whether it took effect."""


class Stale(SyncdError):
    """The record is not as it was read."""


class Gone(SyncdError):
    """The record is not there (any more)."""


class Taken(SyncdError):
    """A record of this identity is already there."""


class Rejected(SyncdError):
    """The system refuses this write for good."""


class AuthFailed(SyncdError):
    """The token is not accepted, or may not do this."""


class PlanRefused(SyncdError):
    """The plan looks wrong; nothing was written."""


class ConfigInvalid(SyncdError):
    """The configuration is wrong; the message says where and what to write instead."""
