"""When a node that was killed is at work again."""

import json
from datetime import datetime

from tests.e2e.harness import NodeProcess, until


def taken_up(node: NodeProcess, app: str, since: datetime) -> float:
    """Seconds from then until a worker was given a part of the app's change, by Temporal's own record."""

    def look() -> str:
        pending = json.loads(_told(node, "describe", app)).get("pendingActivities", [])
        starts = [activity["lastStartedTime"] for activity in pending if activity.get("lastStartedTime")]
        events = json.loads(_told(node, "show", app))["events"]
        starts += [event["eventTime"] for event in events if event["eventType"].endswith("_TASK_STARTED")]
        return min((start for start in starts if _time(start) > since), default="")

    return (_time(until(look, f"the change of {app} goes on")) - since).total_seconds()


def _told(node: NodeProcess, verb: str, app: str) -> str:
    return node.temporal("workflow", verb, "--workflow-id", f"change.{app}", "--output", "json").out


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
