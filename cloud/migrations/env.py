"""Alembic's entry: runs the migrations on the connection that the program hands over."""

from alembic import context

from cloud.migrations.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    render_as_batch=True,  # SQLite alters a table by writing it anew
)
with context.begin_transaction():
    context.run_migrations()
