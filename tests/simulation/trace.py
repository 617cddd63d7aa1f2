"""All that a run of the simulation did, as bytes: two runs of one seed are the same run if these are equal.

What the played systems saw and did, every statement that the store was given with its values, every line of the log,
and what stands in each table in the end (the journal among them). Run as a script it plays the seeds that it is given:
``python -m tests.simulation.trace 7 8``, and from a million on the seeds of the whole.
"""

import sys
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from structlog.testing import capture_logs

from syncd import schema
from tests.simulation.core import Options, Simulation
from tests.simulation.swarm import Swarm

CRASHES = Options(crash_share=0.001, deletes=True)
WHOLE = 1_000_000  # from here on the numbers are those of the whole


def trace_of(seed: int, options: Options = CRASHES) -> bytes:
    """Play a seed, and tell all that happened, a line each."""
    simulation = Simulation(seed, options)
    statements: list[str] = []
    simulation.database.set_trace_callback(statements.append)
    with capture_logs() as log:
        simulation.run()
    simulation.database.set_trace_callback(None)
    return "\n".join([f"== seed {seed}", *statements, *map(repr, log), *_told(simulation), ""]).encode()


def whole_of(seed: int) -> bytes:
    """The same of a seed of the whole, by what its systems saw and did and every statement."""
    swarm = Swarm(seed)
    statements: list[str] = []
    driven: Any = swarm.store.engine.raw_connection().driver_connection
    driven.set_trace_callback(statements.append)
    with capture_logs() as log:
        found = swarm.run()
    seen = [repr(one) for player in swarm.played.values() for one in (*player.box.arrivals, *player.box.effects)]
    return "\n".join([f"== seed {WHOLE + seed}", *statements, *map(repr, log), *seen, *found, ""]).encode()


def _told(simulation: Simulation) -> Iterator[str]:
    for name, system in simulation.systems.items():
        yield from (f"{name} arrival {arrival!r}" for arrival in system.arrivals)
        yield from (f"{name} event {entry!r}" for entry in system.log)
        yield from (f"{name} stands {thing!r}" for thing in system.things.values())
    for table in schema.metadata.sorted_tables:
        yield from (f"{table.name} {row!r}" for row in _rows(simulation, table))
    yield f"faults {simulation.faults.fired!r} crashes {simulation.crashes} at {simulation.clock.now()!r}"
    yield from simulation.violations


def _rows(simulation: Simulation, table: sa.Table) -> list[Any]:
    with simulation.store.engine.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))


if __name__ == "__main__":
    for given in sys.argv[1:]:
        number = int(given)
        sys.stdout.buffer.write(whole_of(number - WHOLE) if number >= WHOLE else trace_of(number))
