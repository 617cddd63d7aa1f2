"""A port that a test may give to a process which it starts later.

The kernel hands out ports of 32768 and above to whoever connects or asks for any port, so that one of those may be
taken before the process listens. The ports here lie below, and each worker of a run looks in an order of its own.
"""

import os
import random
import socket

ABOVE_SERVICES, BELOW_THE_KERNELS = 10_000, 32_768
_rng = random.Random(os.getpid())


def free_port() -> int:
    """One that nobody listens on now."""
    while True:
        port = _rng.randrange(ABOVE_SERVICES, BELOW_THE_KERNELS)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
