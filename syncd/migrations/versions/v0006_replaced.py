"""What a copy of a record that is behind our own writes may still tell."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Make the column."""
    op.add_column("records", sa.Column("replaced", sa.JSON(), nullable=True))
