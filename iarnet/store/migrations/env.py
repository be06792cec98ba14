"""Run by alembic from `iarnet.store.schema.upgrade`, which brings the connection and its transaction."""

from alembic import context

from iarnet.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
