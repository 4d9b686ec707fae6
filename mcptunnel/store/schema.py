"""All tables of the store, for who needs them together (the migrations and their tests)."""

from sqlalchemy import MetaData

from mcptunnel.store import audit, tables
from mcptunnel.store.oauth import tables as oauth
from mcptunnel.store.people import tables as people

ROOMS = (tables, people, oauth, audit)
"""The modules that add tables to `metadata` when they are imported."""

metadata: MetaData = tables.metadata
