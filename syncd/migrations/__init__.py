"""The store's migrations, run by Alembic at start: the database of an older syncd becomes this one's."""
