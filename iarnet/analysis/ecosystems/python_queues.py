"""Workers that empty the queues which a Python program fills: Celery, Dramatiq, RQ."""

import re
from posixpath import basename

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import line_of
from iarnet.analysis.ecosystems.python_code import Module
from iarnet.analysis.ecosystems.python_modules import module_name
from iarnet.analysis.ecosystems.python_program import Program


def queue_workers(files: Files, root: str, modules: list[Module], dependencies: set[str]) -> list[Program]:
    return [*_celery(root, files, modules), *_dramatiq(root, files, modules), *_rq(modules, dependencies)]


def _celery(root: str, files: Files, modules: list[Module]) -> list[Program]:
    found = [(m, app) for m in modules for app in m.apps if app.framework == "celery" and not app.factory]
    if not found:
        return []
    module, app = min(found, key=lambda pair: (_celery_rank(pair[0]), pair[0].path))
    folder, dotted = module_name(root, files, module)
    where = f" --workdir {folder}" if folder else ""
    base = f"celery{where} -A {dotted if app.name == 'app' else f'{dotted}:{app.name}'}"
    seen = Program(f"{base} worker --loglevel INFO", "celery", "worker", module.path, app.line, needs=("celery",))
    if not any(re.search(r"beat_schedule|CELERY_BEAT_SCHEDULE|add_periodic_task", m.text) for m in modules):
        return [seen]
    beat = f"{base} beat --loglevel INFO --schedule /tmp/celerybeat-schedule"
    return [seen, Program(beat, "celery", "worker", module.path, app.line, needs=("celery",))]


def _celery_rank(module: Module) -> int:
    return {"celery.py": 0, "celery_app.py": 1, "worker.py": 2, "tasks.py": 3}.get(basename(module.path), 4)


def _dramatiq(root: str, files: Files, modules: list[Module]) -> list[Program]:
    found = [
        m for m in modules if re.search(r"^@(dramatiq\.)?actor", m.text, re.MULTILINE) and "dramatiq" in m.imports
    ]
    if not found:
        return []
    paths = " ".join(module_name(root, files, module)[1] for module in found)
    line = line_of(found[0].text, "actor")
    return [Program(f"dramatiq {paths}", "dramatiq", "worker", found[0].path, line, needs=("dramatiq",))]


def _rq(modules: list[Module], known: set[str]) -> list[Program]:
    """Queues that the code fills need somebody who empties them, unless it brings its own worker."""
    using = [m for m in modules if "rq" in m.imports]
    if "rq" not in known or not using or any("Worker(" in m.text for m in using):
        return []
    queues = [name for m in using for name in re.findall(r"Queue\(\s*(?:name=)?[\"']([\w-]+)[\"']", m.text)]
    start = f"rq worker --url $REDIS_URL {' '.join(dict.fromkeys(queues)) or 'default'}"
    return [Program(start, "rq", "worker", using[0].path, line_of(using[0].text, "rq"), needs=("rq",))]
