"""What every connector must do, whichever system it speaks to: one class that each system's tests inherit.

It is part of syncd, so that a connector of another package is held to the same; ``pip install syncd[contract]`` brings
what it needs. ``docs/connector.md`` shows it at work.
"""

import pytest

# A failure here shall tell as much as one in a test file does, also to whoever does not know that this is to be asked.
pytest.register_assert_rewrite(
    "syncd.contract.hostile", "syncd.contract.papers", "syncd.contract.scene", "syncd.contract.suite"
)

from syncd.contract.papers import PapersContract  # noqa: E402  # only what is imported later is rewritten
from syncd.contract.scene import Edit, Scene, Wire, World  # noqa: E402  # as above
from syncd.contract.suite import ConnectorContract  # noqa: E402  # as above

__all__ = ["ConnectorContract", "Edit", "PapersContract", "Scene", "Wire", "World"]
