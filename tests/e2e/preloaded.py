"""What a node imports."""

import api.app  # noqa: F401
import iarnet.cli.main  # noqa: F401
import workers.envoy
import workers.node  # noqa: F401
