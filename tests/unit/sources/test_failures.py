import pytest

from iarnet.errors import AccessDenied, IarnetError, InvalidUrl, RefNotFound, RepositoryNotFound, SourceError
from iarnet.sources.failures import failure, is_redirect, readable


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("fatal: transport 'ext' not allowed", InvalidUrl),
        ("fatal: couldn't find remote ref refs/heads/x", RefNotFound),
        ("error: Server does not allow request for unadvertised object 12ab", RefNotFound),
        ("fatal: remote error: upload-pack: not our ref 12ab", RefNotFound),
        ("fatal: Authentication failed for 'https://example.org/a/'", AccessDenied),
        ("fatal: could not read Username for 'https://example.org': terminal prompts disabled", AccessDenied),
        ("fatal: unable to access 'https://example.org/a/': The requested URL returned error: 403", AccessDenied),
        ("git@example.org: Permission denied (publickey).\nfatal: Could not read from remote", AccessDenied),
        ("Host key verification failed.", AccessDenied),
        ("remote: Repository not found.\nfatal: repository 'https://example.org/a/' not found", RepositoryNotFound),
        ("fatal: '/x' does not appear to be a git repository", RepositoryNotFound),
        (
            "fatal: unable to access 'https://example.org/a/': The requested URL returned error: 404",
            RepositoryNotFound,
        ),
        ("fatal: unable to access 'x': Failed to connect to example.org port 443", SourceError),
        ("fatal: unable to access 'x': server certificate verification failed", SourceError),
        ("error: object 12: badTree\nfatal: fsck error in packed object", SourceError),
        ("", SourceError),
    ],
)
def test_meanings(err: str, kind: type[IarnetError]) -> None:
    error = failure(err, where="example.org", authenticated=False)
    assert type(error) is kind
    assert error.hint


def test_a_credential_changes_the_advice() -> None:
    err = "fatal: Authentication failed for 'x'"
    without = failure(err, where="", authenticated=False).hint
    assert without != failure(err, where="", authenticated=True).hint


def test_redirects() -> None:
    assert is_redirect("The requested URL returned error: 301")
    assert not is_redirect("The requested URL returned error: 404")


def test_output_can_not_move_the_cursor() -> None:
    assert readable("remote: \x1b[31mred\x1b[0m\x07\rover\n") == "remote: red\nover\n"
