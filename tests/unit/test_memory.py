import subprocess
import sys

# What the installed command does, and what the kernel says of it afterwards.
SCRIPT = """
import ctypes, resource, sys
from syncd.cli import main
sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit:
    print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_no_core_is_dumped_and_nobody_looks_into_the_process():
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "0 0 0"
