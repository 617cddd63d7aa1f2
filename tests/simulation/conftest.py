"""What the simulations share: thousands of days are played, and their log would cost a seventh of the time."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def no_log() -> Iterator[None]:
    """Nothing is written to the log; a seed that fails tells its own last events."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
