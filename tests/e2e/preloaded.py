"""What a node imports, at once or in time."""

import api.app  # noqa: F401
import iarnet.analysis.ecosystems.catalog
import iarnet.cli.main
import iarnet.store.migrating  # noqa: F401
import tests.e2e.forked  # noqa: F401
import workers.envoy
import workers.node  # noqa: F401
