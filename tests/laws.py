"""How many examples a law is played with: as many as it says, or as many as the run asks for, if that is more."""

from hypothesis import settings


def examples(count: int) -> settings:
    """At least so many; all else is as the profile of the run has it (see ``tests.conftest``)."""
    return settings(max_examples=max(count, settings().max_examples))
