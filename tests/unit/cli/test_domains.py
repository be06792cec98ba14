import json

import pytest

from tests.signing import Signer


def document(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failed(result):
    return json.loads(result.stderr.splitlines()[-1])["error"]


def hosts(call):
    return [d["host"] for d in document(call("domains", "--json"))["domains"]]


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (["nothing"], "NotFound", 4),
        (["Shop!"], "InvalidInput", 3),
        (["rm", "nothing", "--yes"], "NotFound", 4),
        (["rm", "nothing"], "InvalidInput", 3),
        (["add", "a.localhost", "nothing", "web"], "NotFound", 4),
        (["add", "a.localhost", "shop", "wed"], "InvalidComponent", 3),
        (["add", "no host", "shop", "web"], "InvalidInput", 3),
        (["add", "a.localhost", "shop", "web", "--port", "81"], "InvalidComponent", 3),
        (["add", "a.localhost", "shop", "web", "--acme", "--http-only"], "InvalidInput", 3),
        (["add", "a.localhost", "shop", "web", "--cert", "nowhere.pem", "--key", "nowhere.pem"], "InvalidInput", 3),
        (["add", "a.localhost", "shop", "web", "--http-only", "--redirect-to", "a.localhost"], "InvalidInput", 3),
        (["add", "a.localhost", "shop", "web", "--replace"], "NotFound", 4),
    ],
)
def test_a_refusal_has_a_code_and_leaves_no_domain(call, args, code, exit_code):
    result = call("domains", *args, "--json")
    assert result.exit_code == exit_code, result.output
    assert failed(result)["code"] == code
    assert failed(result)["hint"]
    assert hosts(call) == []


def test_a_name_is_added_shown_changed_and_removed(call):
    text = call("domains", "add", "Shop.localhost", "shop", "web", "--http-only").stdout
    assert text == "http://shop.localhost -> shop/web:80: ready\n"
    assert hosts(call) == ["shop.localhost"]
    assert "http://shop.localhost -> web  ready" in call("status", "shop").stdout
    assert [d["url"] for d in document(call("status", "shop", "--json"))["domains"]] == ["http://shop.localhost"]
    assert "shop/web:80" in call("domains", "shop").stdout
    again = call("domains", "add", "shop.localhost", "shop", "web", "--http-only", "--json")
    assert (again.exit_code, failed(again)["code"]) == (5, "AlreadyExists")
    args = ("domains", "add", "shop.localhost", "shop", "web", "--http-only", "--redirect-to", "www.localhost")
    assert document(call(*args, "--replace", "--json"))["redirect_to"] == "www.localhost"
    assert "-> www.localhost" in call("status", "shop").stdout
    assert call("domains", "rm", "shop.localhost", "--yes").exit_code == 0
    assert hosts(call) == []


def test_a_certificate_comes_from_files(call, tmp_path):
    chain, key = Signer().sign("files.localhost", days=5)
    for name, text in (("chain.pem", chain), ("key.pem", key)):
        (tmp_path / name).write_text(text)
    args = ("--cert", str(tmp_path / "chain.pem"), "--key", str(tmp_path / "key.pem"), "--json")
    wrong = call("domains", "add", "other.localhost", "shop", "web", *args)
    assert failed(wrong)["code"] == "InvalidCertificate"
    found = document(call("domains", "add", "files.localhost", "shop", "web", *args))
    assert (found["certificate"], found["state"], found["url"]) == ("given", "ready", "https://files.localhost")
    assert "give a new one" in found["warning"]
    assert key not in json.dumps(found)
    call("domains", "rm", "files.localhost", "--yes")
