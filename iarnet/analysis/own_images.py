"""Images that a declaration takes from a registry although this repository is where they are made."""

from iarnet.analysis.base import Files
from iarnet.analysis.draft import Findings
from iarnet.analysis.image_names import folder_of_image
from iarnet.analysis.roots import Recogniser
from iarnet.analysis.structures.dockerfile import dockerfiles, home


def build_own(files: Files, recognise: Recogniser, findings: Findings) -> None:
    """What is asked for is this repository's code: it is built, not fetched."""
    for draft in [draft for draft in findings.drafts if draft.facts.get("image")]:
        folder = folder_of_image(files, draft.facts["image"])
        folder = _made(files, recognise, folder) if folder else None
        if folder is None:
            continue
        image, draft.root = draft.facts.pop("image"), folder
        findings.whole = findings.whole or draft.evidence[0].detector
        draft.warn("own-image", f"{draft.name}: {image} is made from {folder!r} of this repository; that is built")


def _made(files: Files, recognise: Recogniser, folder: str) -> str | None:
    """Where it is built: there, or where the only Dockerfile of the project is."""
    packed = {home(files, path) for path in dockerfiles(files)}
    profile = recognise(folder)
    if folder in packed or (profile and profile.runnable):
        return folder
    return next(iter(packed)) if folder == "." and len(packed) == 1 else None
