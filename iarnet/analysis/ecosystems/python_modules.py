"""Where a module of a Python program is imported from, and under which name."""

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join
from iarnet.analysis.ecosystems.python_code import Module


def module_name(root: str, files: Files, module: Module) -> tuple[str, str]:
    """The folder to import from ("" for the root itself) and the dotted name of the module in it.

    That folder is the outermost in which all absolute imports of the file that could be local are found.
    """
    local = local_path(root, module.path)
    parts = local.removesuffix(".py").removesuffix("/__init__").split("/")
    inside = module.path.endswith("/__init__.py")
    folders = [
        "/".join(parts[:depth])
        for depth in range(len(parts) if inside or not module.relative else max(1, len(parts) - 1))
    ]
    candidates = [f for f in folders if not files.exists(join(root, f"{f}/__init__.py" if f else "__init__.py"))] or [
        ""
    ]
    tops = {name.split(".")[0] for name in module.imports}
    best = min(
        candidates, key=lambda f: (_unresolved(files, root, f, folders, tops), f != "src", f.count("/"), len(f))
    )
    return best, ".".join(parts[best.count("/") + 1 :] if best else parts)


def _unresolved(files: Files, root: str, folder: str, folders: list[str], tops: set[str]) -> int:
    """How many imports another candidate folder would satisfy and this one does not."""
    return sum(
        1
        for top in tops
        if not _has(files, root, folder, top) and any(_has(files, root, other, top) for other in folders)
    )


def _has(files: Files, root: str, folder: str, top: str) -> bool:
    path = join(root, f"{folder}/{top}" if folder else top)
    return files.exists(f"{path}.py") or files.exists(f"{path}/__init__.py") or bool(files.paths(path, 1))


def local_path(root: str, path: str) -> str:
    return path if root in ("", ".") else path[len(root) + 1 :]
