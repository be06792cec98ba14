"""What is in a repository, without importing it."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from api.analysed import AnalysisDocument
from api.bodies import PlainText, SecretName, git_source
from api.deps import Given
from api.errors import refusals
from api.existing import check_secrets
from iarnet.analysis.document import document
from iarnet.errors import (
    AccessDenied,
    InvalidComponent,
    InvalidUrl,
    Missing,
    NotFound,
    NothingToRun,
    RefNotFound,
    RepositoryNotFound,
    SourceError,
    SourceTooLarge,
)
from iarnet.models.base import Value

router = APIRouter(prefix="/analyses", tags=["analysis"])

PATIENCE_S = 300.0


class AnalysisBody(Value):
    """`ref`: branch, tag or commit; `credential` names a stored secret; `subdir` is a folder of the repository."""

    url: str = Field(min_length=1, max_length=2048, examples=["https://github.com/user/shop.git"])
    ref: str = Field(default="", max_length=255, examples=["main"])
    credential: SecretName | None = Field(default=None, examples=["credentials/github"])
    subdir: PlainText = ""


@router.post(
    "",
    operation_id="analyzeRepository",
    summary="Find the components of a repository, without importing it",
    response_model=AnalysisDocument,
    responses=refusals(
        *(InvalidUrl, InvalidComponent, NothingToRun, NotFound, Missing),
        *(RepositoryNotFound, RefNotFound, AccessDenied, SourceTooLarge, SourceError),
    ),
)
async def analyze(body: AnalysisBody, given: Given) -> JSONResponse:
    """Nothing is stored, so there is no run to follow: the answer is the analysis."""
    git = git_source(body.url, body.ref, body.credential, body.subdir)
    await check_secrets(given.secrets, [body.credential])
    try:
        async with asyncio.timeout(PATIENCE_S):
            return JSONResponse(document(await given.analyze(git)))
    except TimeoutError:
        hint = "import it, which takes as long as it takes: POST /api/v1/apps"
        raise Missing("the analysis is not done yet", where=body.url, hint=hint) from None
