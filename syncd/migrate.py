"""Brings the database to this syncd's schema, and refuses one that a newer syncd has made."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as Alembic
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from syncd.errors import ConfigInvalid


def _alembic() -> Alembic:
    settings = Alembic()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return settings


def migrate(connection: sa.Connection) -> None:
    """Run what is missing, in the connection's transaction; raises ``ConfigInvalid`` for a newer schema."""
    settings = _alembic()
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, "head")
    except CommandError as error:
        raise ConfigInvalid(
            "store.url: this database was made by a newer syncd; run that version, or name another database"
        ) from error


def is_current(connection: sa.Connection) -> bool:
    """Whether the database has exactly this syncd's schema."""
    known = ScriptDirectory.from_config(_alembic()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == known
