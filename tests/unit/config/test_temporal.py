import pytest

from iarnet.config import load_settings
from iarnet.errors import InvalidConfig


def test_an_api_key_does_not_travel_in_clear(tmp_path):
    given = {"data_dir": str(tmp_path), "temporal.api_key_file": "/run/key"}
    with pytest.raises(InvalidConfig, match=r"needs tls\.enabled") as refused:
        load_settings(None, {}, given, cwd=tmp_path)
    assert "temporal" in refused.value.message
    settings = load_settings(None, {}, given | {"temporal.tls.enabled": True}, cwd=tmp_path).settings
    assert str(settings.temporal.api_key_file) == "/run/key"
