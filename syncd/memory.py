"""What this process knows stays in it: no core dump is written, and no other process of the same user may look inside.

A dump, or a debugger, would show tokens and people's data in clear. See core(5) and prctl(2), PR_SET_DUMPABLE.
"""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """For the rest of this process's life; a program that it starts begins with the same limit."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
