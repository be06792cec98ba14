"""From a repository to components: import, analyse, look at the result."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.analysed import AnalysisDocument
from api.bodies import ImportBody, git_source
from api.deps import Given, Start
from api.errors import refusals
from api.existing import check_secrets
from api.starter import Accepted
from iarnet.analysis.document import document
from iarnet.errors import Conflict, Missing, NotFound
from iarnet.models.analysis import Analysis
from iarnet.models.base import AppName
from iarnet.models.change import AnalyzeRequest, ImportRequest
from iarnet.store.base import Store

router = APIRouter(prefix="/apps/{app}", tags=["analysis"])


@router.post(
    "/import",
    operation_id="importApp",
    summary="Fetch what the repository has now",
    status_code=202,
    responses=refusals(NotFound, Missing),
)
async def import_app(
    app: AppName, given: Given, start: Start, response: Response, body: ImportBody = ImportBody()
) -> Accepted:
    git = (await given.store.apps.get(app)).git
    await check_secrets(given.secrets, [body.credential])
    wanted = git_source(
        git.url,
        git.ref if body.ref is None else body.ref,
        git.credential if body.credential is None else body.credential,
        git.subdir,
    )
    if wanted != git:
        await given.store.apps.set_git(app, wanted)
    run = await start.import_app(ImportRequest(app=app), wanted.ref)
    response.headers["Location"] = run.follow
    return run


@router.post(
    "/analyze",
    operation_id="analyzeApp",
    summary="Find the components in what was imported last",
    status_code=202,
    responses=refusals(NotFound, Conflict, Missing),
)
async def analyze_app(app: AppName, given: Given, start: Start, response: Response) -> Accepted:
    await given.store.apps.get(app)
    source = await given.store.facts.source(app)
    if source is None:
        raise Conflict(f"{app!r} is not imported yet", where=app, hint=f"import it: POST /api/v1/apps/{app}/import")
    run = await start.analyze_app(AnalyzeRequest(app=app, commit=source.commit))
    response.headers["Location"] = run.follow
    return run


@router.get(
    "/analysis",
    operation_id="getAnalysis",
    summary="Components, edges and the evidence for each fact",
    response_model=AnalysisDocument,
    responses=refusals(NotFound),
)
async def get_analysis(app: AppName, given: Given) -> JSONResponse:
    return JSONResponse(document(await found_analysis(given.store, app)))


async def found_analysis(store: Store, app: str) -> Analysis:
    """That of the newest import. Raises `NotFound`."""
    await store.apps.get(app)
    source = await store.facts.source(app)
    analysis = await store.facts.analysis(app, source.part) if source else None
    if analysis is None:
        raise NotFound(f"{app!r} is not analysed yet", where=app, hint=f"analyse it: POST /api/v1/apps/{app}/analyze")
    return analysis
