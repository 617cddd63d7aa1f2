"""Which webhook a mark, an intent and a line of the journal go back to."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Make the columns."""
    for table in ("marks", "intents", "journal"):
        op.add_column(table, sa.Column("origin", sa.String(), nullable=True))
