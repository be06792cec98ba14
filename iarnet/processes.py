"""Programs that outlive the node which has started them."""

import psutil


def started_with(argument: str) -> psutil.Process | None:
    """The one that was started with this argument, among others. A node may have died before it wrote down which."""
    for process in psutil.process_iter(["cmdline"]):
        if argument in (process.info["cmdline"] or ()):
            return process
    return None
