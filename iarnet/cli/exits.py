"""Exit codes, for scripts. `docs/cli.md` lists them."""

from iarnet import errors

OK, FAILED, USAGE, REFUSED, NOT_FOUND, CONFLICT, UNREACHABLE, CANCELLED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 130

_FIRST_MATCH: tuple[tuple[type[errors.IarnetError], int], ...] = (
    (errors.NodeUnreachable, UNREACHABLE),
    (errors.Cancelled, CANCELLED),
    (errors.NotFound, NOT_FOUND),
    (errors.RepositoryNotFound, NOT_FOUND),
    (errors.RefNotFound, NOT_FOUND),
    (errors.Refused, REFUSED),
    (errors.Unauthorized, REFUSED),
    (errors.Forbidden, REFUSED),
    (errors.AccessDenied, REFUSED),
    (errors.Conflict, CONFLICT),
)


def exit_code(error: errors.IarnetError) -> int:
    return next((code for kind, code in _FIRST_MATCH if isinstance(error, kind)), FAILED)
