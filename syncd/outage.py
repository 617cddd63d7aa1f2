"""Tells a database that fails (busy, full, away, damaged) from a bug of ours.

What it says of its failure names no row and no value, so it may be logged and shown; what it says of a statement that
it cannot take might, and is our fault.
"""

import sqlalchemy as sa

_OURS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.NotSupportedError)


def outage_of(error: BaseException | None) -> str | None:
    """What a database says that it fails of, in a line; None: the error is no failure of the database."""
    if not isinstance(error, sa.exc.DBAPIError) or isinstance(error, _OURS):
        return None
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
