import json

import pytest


def findings(result):
    [report] = json.loads(result.stdout)["providers"]
    return [(f["action"], f["kind"], f["name"], f["outcome"]) for f in report["findings"]]


def test_what_would_be_done_is_said_with_its_reason(call):
    shown = call("reconcile", "--dry-run")
    assert shown.exit_code == 0
    assert "memory    instance  iarnet-gone-web-r1-0  gone         remove    gone is gone" in shown.stdout
    assert findings(call("reconcile", "--dry-run", "--remove-volumes", "--json")) == [
        ("remove", "instance", "iarnet-gone-web-r1-0", ""),
        ("remove", "volume", "db/data", ""),
    ]


def test_what_was_done_is_said(call):
    done = call("reconcile", "--provider", "memory", "--json")
    assert done.exit_code == 0
    assert findings(done)[0] == ("remove", "instance", "iarnet-gone-web-r1-0", "done")
    assert findings(done)[1] == ("keep", "volume", "db/data", "")


def test_data_is_removed_only_when_somebody_is_sure_and_what_fails_is_an_error(call):
    asked = call("reconcile", "--remove-volumes")
    assert asked.exit_code == 3
    assert "--yes" in asked.stderr
    failed = call("reconcile", "--remove-volumes", "--yes")
    assert failed.exit_code == 1
    assert "in use by a stranger" in failed.stdout


@pytest.mark.parametrize("how", [["--dry-run"], []])
def test_a_provider_that_there_is_not(call, how):
    refused = call("reconcile", "--provider", "nowhere", *how, "--json")
    assert refused.exit_code == 4
    assert json.loads(refused.stderr)["error"]["code"] == "NotFound"
