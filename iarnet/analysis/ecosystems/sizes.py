"""What programs of a kind usually need, where nobody has said."""

from collections.abc import Iterable

from iarnet.models.resources import GIB, MIB, Resources

_USUAL = {
    "static": (100, 64 * MIB),
    "go": (100, 128 * MIB),
    "python": (250, 256 * MIB),
    "node": (250, 256 * MIB),
    "django": (250, 384 * MIB),
    "streamlit": (500, 512 * MIB),
    "gradio": (500, 512 * MIB),
    "celery": (250, 384 * MIB),
    "next": (500, 512 * MIB),
    "nuxt": (250, 384 * MIB),
    "java": (500, 512 * MIB),
    "spring-boot": (500, 768 * MIB),
    "rust": (100, 64 * MIB),
    "c": (100, 64 * MIB),
    "c++": (100, 64 * MIB),
    "shell": (100, 64 * MIB),
    "c#": (250, 256 * MIB),
    "php": (250, 256 * MIB),
    "ruby": (250, 256 * MIB),
    "rails": (500, 512 * MIB),
    "scala": (500, 512 * MIB),
    "clojure": (500, 512 * MIB),
}
_OTHERS = (250, 256 * MIB)
_HEAVY = {
    "torch": 2 * GIB, "tensorflow": 2 * GIB, "transformers": 2 * GIB, "jax": 2 * GIB, "keras": 2 * GIB,
    "diffusers": 4 * GIB, "sentence-transformers": 2 * GIB, "onnxruntime": GIB, "spacy": GIB,
    "scikit-learn": 512 * MIB, "pandas": 512 * MIB,
}  # fmt: skip


def size(framework: str, dependencies: Iterable[str] = (), language: str = "python") -> Resources:
    """CPU and memory of one instance: the framework's usual size, more for libraries that hold models or tables."""
    cpu, memory = _USUAL.get(framework) or _USUAL.get(language, _OTHERS)
    heavy = max((_HEAVY[name] for name in dependencies if name in _HEAVY), default=0)
    return Resources(cpu_millis=1000 if heavy >= GIB else cpu, memory_bytes=max(memory, heavy))
