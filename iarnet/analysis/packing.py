"""Which program an image packs, and where its code is."""

import re
from posixpath import basename, dirname, join, normpath

from iarnet.analysis import services
from iarnet.analysis.base import Clue, Files, Profile
from iarnet.analysis.draft import Draft
from iarnet.analysis.ecosystems.commands import LANGUAGES, TOOLS, words
from iarnet.analysis.folders import aside, manifests, own_manifest
from iarnet.analysis.names import folder_name
from iarnet.analysis.roots import Recogniser
from iarnet.analysis.structures.dockerfile import base_image, home
from iarnet.models.component import Build


def code_root(files: Files, root: str, dockerfile: str) -> str:
    """Where the context is a folder of several programs, the program is in the folder of its Dockerfile."""
    folder = home(files, dockerfile)
    if not own_manifest(files, folder):
        return root
    several = folder.startswith(f"{root}/") and not own_manifest(files, root)
    return folder if root == "." or several else root


def packed(files: Files, recognise: Recogniser, draft: Draft, start: str | None, *, only: bool) -> Profile | None:
    """The program that is built in a folder: its own; where there is none, the one further down that the start
    command names, that is called like the component, or, as `only` allows, the only one, pages apart."""
    root = draft.root or "."
    profile = recognise(root, start)
    own = recognise(root) if start else profile
    folders = sorted({dirname(path) or "." for path in manifests(files, root, 4)} - {root})[:MAX_MEMBERS]
    if not folders or (profile and own and own.runnable):
        return profile
    said = set(re.split(r"[^\w.-]+", start or ""))
    folders = [folder for folder in folders if not aside(folder)]
    named = [folder for folder in folders if basename(folder) in said and _runs(recognise, folder)]
    if len(named) == 1:
        return recognise(named[0], start)
    members = {folder: found for folder in folders if (found := recognise(folder)) and found.runnable}
    named = [folder for folder, found in members.items() if _named(said, folder, found)]
    alike = [folder for folder in members if folder_name(folder) == draft.name]
    servers = [folder for folder, found in members.items() if found.kind in ("web", "api")]
    rest = (servers, list(members)) if only and not (profile and profile.framework) else ()
    alone = next((choice[0] for choice in (named, alike, *rest) if len(choice) == 1), None)
    return recognise(alone, start) if alone else profile


MAX_MEMBERS = 60


def _runs(recognise: Recogniser, folder: str) -> bool:
    profile = recognise(folder)
    return profile is not None and profile.runnable


def mounted(files: Files, recognise: Recogniser, draft: Draft, start: str | None) -> Profile | None:
    """The program that a declaration puts into an image which has only what it runs on: where it works in there, else
    what is mounted."""
    baked = draft.facts.get("baked", ())
    work = f"{draft.facts.get('working_dir') or ''}/"
    within = [normpath(join(s, work[len(t) :].strip("/"))) for s, t in baked if work.startswith(f"{t.rstrip('/')}/")]
    folder = next((folder for folder in (*within, *(s for s, _ in baked)) if own_manifest(files, folder)), None)
    profile = recognise(folder, start) if folder else None
    if folder and profile:
        draft.root = folder
    return profile


def _named(said: set[str], folder: str, profile: Profile) -> bool:
    binary = re.match(r"\./([\w.-]+)", profile.start_command or "")
    names = {basename(folder), *(binary.groups() if binary else ())}
    return any(word in names or word.endswith(f"-{basename(folder)}") for word in said)


def note_language(files: Files, draft: Draft, build: Build, start: str | None) -> None:
    """Where there is no code that anybody knows: that of the tool that starts it, else of the image below it."""
    path = build.dockerfile or ""
    base, _ = base_image(files, path, build.target)
    tool = TOOLS.get(next(iter(words(start or "")), ""))
    image = services.split_image(base)[0].rpartition("/")[2]
    if found := LANGUAGES.get(tool or "") or LANGUAGES.get(_IMAGES.get(image, image)):
        draft.offer("language", found, Clue("language", found, path, confidence=0.6), "dockerfile")


_IMAGES = {"golang": "go", "openjdk": "java", "eclipse-temurin": "java", "amazoncorretto": "java", "bun": "node"}
