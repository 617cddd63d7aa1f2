"""Runs the daemon as `syncd serve` does, in a process of its own that a test may kill: `python -m … CONFIG`.

The first line that it prints is its address. Handed-over commands are three that only tests need,
and the one that a button of the page gives.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from syncd import commands, config, logs
from syncd.app import load_plugins
from syncd.clock import WallClock
from syncd.errors import PlanRefused
from syncd.serve import serve


async def run_command(app, command, arguments, progress):
    if command == "count":
        for step in range(arguments["to"]):
            progress({"step": step + 1})
            await asyncio.sleep(0.02)
        return {"counted": arguments["to"]}
    if command == "wait":
        progress({"waiting": True})
        await asyncio.sleep(600)
    if command == "walk":
        return await commands.run_command(app, command, arguments, progress)
    raise PlanRefused("this was asked for in vain")


def main():
    clock, settings = WallClock(), config.load(Path(sys.argv[1]), os.environ)
    logs.configure(sys.stderr, clock, secrets=settings.secrets(), form="json")
    told = serve(
        settings,
        load_plugins(),
        clock=clock,
        rng=random.Random(),
        entropy=os.urandom,
        run_command=run_command,
        on_ready=lambda address: sys.stdout.write(f"{address}\n") and sys.stdout.flush(),
    )
    sys.exit(asyncio.run(told))


if __name__ == "__main__":
    main()
