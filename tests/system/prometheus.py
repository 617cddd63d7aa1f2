"""Where Prometheus and its promtool are: as `make test-system` unpacked Debian's, or as the machine has them.

Prometheus's own page is files beside it, which Debian's is told the place of (``SITE``: options; empty without them).
"""

import shutil
from pathlib import Path

import pytest

UNPACKED = Path(__file__).parents[2] / ".venv" / "debian" / "usr" / "bin"
PAGE = UNPACKED.parent / "share" / "prometheus" / "web"
SITE = [f"--web.local-assets={PAGE}"] if (PAGE / "static" / "rickshaw").is_dir() else []


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``."""
    found = str(UNPACKED / name) if (UNPACKED / name).exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here; `make test-system` fetches it")
    return found
