"""What Schemathesis checks of every answer besides its own checks. Its command line loads this file."""

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response

PARTS = ("body", "query", "path", "header")


@schemathesis.check
def what_fits_the_document_is_not_refused_for_its_form(ctx: CheckContext, response: Response, case: Case) -> None:
    """It may be refused for what is there, and for what no schema can say: a name that is taken, or none."""
    if response.status_code != 400 or case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    refusal = response.json()
    for_form = refusal["where"].split(".")[0] in PARTS and "Value error" not in refusal["detail"]
    assert not for_form, f"the document allows it: {refusal['detail']}"
