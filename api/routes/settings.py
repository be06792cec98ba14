"""What a user changes about an application without a commit."""

from fastapi import APIRouter

from api.bodies import SettingsPatch
from api.deps import Given
from api.errors import refusals
from api.existing import check_secrets
from iarnet.errors import NotFound
from iarnet.models.app import Settings
from iarnet.models.base import AppName

router = APIRouter(prefix="/apps/{app}/settings", tags=["settings"], responses=refusals(NotFound))


@router.get("", operation_id="getSettings", summary="The settings of an application; secrets by name only")
async def get_settings(app: AppName, given: Given) -> Settings:
    return (await given.store.apps.get(app)).settings


@router.patch("", operation_id="patchSettings", summary="Change settings; they take effect with the next deployment")
async def patch_settings(app: AppName, patch: SettingsPatch, given: Given) -> Settings:
    """A key is a value or a secret: giving one takes the other away."""
    old = (await given.store.apps.get(app)).settings
    await check_secrets(given.secrets, patch.secrets.values())
    settings = Settings(
        values=_merged(old.values, patch.values, patch.secrets),
        secrets=_merged(old.secrets, patch.secrets, patch.values),
        observed={key: value for key, value in old.observed.items() if key not in patch.values},
    )
    await given.store.apps.set_settings(app, settings)
    return settings


def _merged(old: dict[str, str], new: dict[str, str | None], other: dict[str, str | None]) -> dict[str, str]:
    taken = {key for key, value in other.items() if value is not None}
    merged = old | new
    return {k: v for k, v in merged.items() if v is not None and (k not in taken or k in new)}
