from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures.procfile import Procfile


def test_every_process_is_a_component_and_release_goes_first() -> None:
    text = "# all of it\nweb: gunicorn app:app --port $PORT\nworker: celery -A app worker\nrelease: ./migrate\n???\n"
    structure = Procfile().read(TreeFiles(MemoryTree({"Procfile": text})))
    assert structure is not None
    assert [(c.name, c.facts["kind"], c.facts["start_command"]) for c in structure.components] == [
        ("web", "web", "gunicorn app:app --port $PORT"),
        ("worker", "worker", "celery -A app worker"),
        ("release", "job", "./migrate"),
    ]
    assert [(e.from_, e.to, e.condition) for e in structure.edges] == [
        ("web", "release", "completed"),
        ("worker", "release", "completed"),
    ]
    assert [(w.code, w.line) for w in structure.warnings] == [("not-understood", 5)]


def test_processes_of_a_folder_carry_its_name() -> None:
    structure = Procfile().read(TreeFiles(MemoryTree({"shop/Procfile": "web: a\n"})))
    assert structure is not None
    assert [(c.name, c.root) for c in structure.components] == [("shop-web", "shop")]
