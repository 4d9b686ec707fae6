"""Alembic's entry point; runs on the connection that `store.migrate` opened and will commit."""

from alembic import context

from mcptunnel.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
