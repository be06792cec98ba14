"""How much of a search a run makes: as much as every run can afford, the same each time, or with
`HYPOTHESIS_PROFILE=deep` as much as a claim needs, other values each time."""

import os

from hypothesis import HealthCheck, settings

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
LONGEST_S = 7200 if DEEP else 300


def searching(*, usually: int, deep: int, steps: int = 10) -> settings:
    """`usually` and `deep` are numbers of examples; of a state machine each has at most so many steps."""
    return settings(
        max_examples=deep if DEEP else usually,
        stateful_step_count=steps,
        derandomize=not DEEP,
        print_blob=DEEP,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
