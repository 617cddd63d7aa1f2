"""Who was erased."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("grave", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("allowed_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("tombstones_by_grave", "tombstones", ["grave"], unique=False)
