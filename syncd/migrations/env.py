"""Alembic's entry: migrates over the connection that syncd hands in, within its transaction."""

from alembic import context

from syncd.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
