"""Which analysis stands behind `Analyser`: the built-in one, or another that was set."""

from functools import partial
from pathlib import Path

from iarnet.analysers.base import Analyser
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysers.scratch import Scratch
from iarnet.analysers.unimported import Unimported
from iarnet.config import Settings
from iarnet.models.analysis import Analysis
from iarnet.secrets.base import Secrets
from iarnet.sources.base import Sources, Tree
from iarnet.sources.git import GitSources, Recall, SourceLimits


def git_sources(settings: Settings, secrets: Secrets, directory: Path, recall: Recall | None = None) -> GitSources:
    """An object store in that folder, by the rules of the settings."""
    git = settings.git
    return GitSources(
        directory,
        allow_file=git.allow_file,
        allow_http=git.allow_http,
        allow_private_hosts=git.allow_private_hosts,
        limits=SourceLimits(git.max_bytes, git.max_files, git.timeout_s),
        secrets=secrets,
        recall=recall,
        ca_bundle=git.ca_bundle,
        proxy=git.proxy or None,
        git=git.binary,
    )


def analyser(settings: Settings, sources: Sources) -> Analyser:
    built_in, other = BuiltIn(sources, analyze), settings.analysis
    if not other.address:
        return built_in
    # Not among the imports of every node: few have one.
    from iarnet.analysers.external import ExternalAnalyser

    return ExternalAnalyser(
        address=other.address,
        timeout_s=other.timeout_s,
        sources=sources,
        scratch=_scratch(settings),
        instead=built_in,
        token_file=other.token_file,
        tls=other.tls.enabled,
        ca_file=other.tls.ca_file,
    )


def unimported(settings: Settings, secrets: Secrets) -> Unimported:
    return Unimported(_scratch(settings), partial(git_sources, settings, secrets), partial(analyser, settings))


def analyze(tree: Tree) -> Analysis:
    # Imported with the first repository: all that recognises a language is not needed to go on after a restart.
    from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
    from iarnet.analysis.engine import analyze

    return analyze(tree, ecosystems=ECOSYSTEMS)


def _scratch(settings: Settings) -> Scratch:
    return Scratch(settings.workspace_dir / "analyses")
