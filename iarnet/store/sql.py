"""The store on SQLAlchemy."""

from iarnet.store.apps import SqlApps
from iarnet.store.base import Clock
from iarnet.store.database import Database
from iarnet.store.domains import SqlDomains
from iarnet.store.facts import SqlFacts
from iarnet.store.installation import SqlInstallation
from iarnet.store.instances import SqlInstances
from iarnet.store.ledger import SqlLedger
from iarnet.store.providers import SqlProviderRows
from iarnet.store.secrets import SqlSecretRows
from iarnet.store.traffic import SqlTraffic


class SqlStore:
    """Fulfils `iarnet.store.base.Store`. Belongs to the event loop that first uses it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self.apps = SqlApps(database, clock)
        self.facts = SqlFacts(database, clock)
        self.instances = SqlInstances(database, clock)
        self.providers = SqlProviderRows(database)
        self.ledger = SqlLedger(database, clock)
        self.traffic = SqlTraffic(database)
        self.domains = SqlDomains(database)
        self.installation = SqlInstallation(database)
        self.secrets = SqlSecretRows(database, clock)

    async def aclose(self) -> None:
        await self._database.aclose()
