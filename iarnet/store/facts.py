"""What activities record, idempotently."""

from iarnet.store.deployments import Deployments
from iarnet.store.journal import Journal
from iarnet.store.snapshots import Snapshots


class SqlFacts(Deployments, Snapshots, Journal):
    """Fulfils `iarnet.store.base.Facts`."""
