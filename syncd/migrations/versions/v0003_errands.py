"""What is done once beside the fields: deeds, batches of résumés, and whose screening a record is."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Make the tables and the columns."""
    op.add_column("records", sa.Column("places", sa.JSON(), nullable=True))
    op.add_column("records", sa.Column("application", sa.String(), nullable=True))
    op.create_index("records_by_application", "records", ["connection", "application"], unique=False)
    op.create_table(
        "deeds",
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("end", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("pair", "end", "what", "source"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("remote", sa.String(), nullable=True),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("batches_by_remote", "batches", ["remote"], unique=False)
    op.create_table(
        "batch_items",
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("application", sa.String(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("content", sa.String(), nullable=True),
        sa.Column("credits", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pair", "application"),
    )
    op.create_index("batch_items_by_batch", "batch_items", ["batch"], unique=False)
