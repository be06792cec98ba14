import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.errors import InvalidInput, InvalidUrl
from iarnet.sources.url import check_ref, is_commit, parse_url


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "path", "user"),
    [
        ("https://example.org/a/b.git", "https", "example.org", 443, "/a/b.git", ""),
        ("https://example.org:8443/a", "https", "example.org", 8443, "/a", ""),
        ("https://[2001:db8::1]/a", "https", "2001:db8::1", 443, "/a", ""),
        ("ssh://git@example.org/a/b", "ssh", "example.org", 22, "/a/b", "git"),
        ("ssh://git@example.org:2222/~/b", "ssh", "example.org", 2222, "/~/b", "git"),
        ("git@example.org:a/b.git", "ssh", "example.org", 22, "a/b.git", "git"),
        ("git@example.org:/a/b.git", "ssh", "example.org", 22, "/a/b.git", "git"),
    ],
)
def test_what_is_allowed(text: str, scheme: str, host: str, port: int, path: str, user: str) -> None:
    url = parse_url(text)
    assert (url.text, url.scheme, url.host, url.port, url.path, url.user) == (text, scheme, host, port, path, user)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-u",
        "--upload-pack=x",
        "ext::sh -c x",
        "ext::ssh://h/p",
        "fd::17/foo",
        "https::https://h/p",
        "git@ext::x",
        "http://example.org/a",
        "git://example.org/a",
        "ftp://example.org/a",
        "file:///etc",
        "file://host/etc",
        "/etc",
        "../a",
        "a",
        "example.org:a",
        "https://",
        "https:///a",
        "https://example.org",
        "https://example.org/",
        "https://example.org/-x",
        "https://-example.org/a",
        "https://exa mple.org/a",
        "https://example.org/a b",
        "https://example.org/a\nb",
        "https://example.org/a\x00",
        "https://example.org\\@evil/a",
        "https://example.org/a?x=1",
        "https://example.org/a#main",
        "https://example.org:99999/a",
        "https://example.org:x/a",
        "https://exämple.org/a",
        "https://[::1/a",
        "ssh://-oProxyCommand=x/a",
        "ssh://-x@example.org/a",
        "ssh://git@/a",
        "ssh://git:pw@example.org/a",
        "git@-oProxyCommand=x:a",
        "-x@example.org:a",
        "git@example.org:",
        "git@example.org:-x",
        "git@example.org:/",
        "@example.org:a",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidUrl) as error:
        parse_url(text)
    assert error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    "text", ["https://ghp_abc@example.org/a", "https://user:s3cret@example.org/a", "ssh://git:s3cret@example.org/a"]
)
def test_secrets_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidUrl) as error:
        parse_url(text)
    assert "credential" in error.value.hint
    assert "s3cret" not in str(error.value.details())
    assert "ghp_abc" not in str(error.value.details())


def test_files_and_http_by_setting() -> None:
    assert parse_url("/srv/a", allow_file=True).text == "file:///srv/a"
    assert parse_url("file:///srv/a b", allow_file=True).path == "/srv/a b"
    assert parse_url("http://example.org/a", allow_http=True).origin == "http://example.org:80"
    for text in ("file://host/a", "file://../a", "/a\nb"):
        with pytest.raises(InvalidUrl):
            parse_url(text, allow_file=True)


def test_origins() -> None:
    assert parse_url("https://example.org/a").origin == parse_url("https://example.org:443/b").origin
    assert parse_url("https://example.org/a").origin != parse_url("https://example.org:444/a").origin
    assert parse_url("https://[2001:db8::1]/a").origin == "https://[2001:db8::1]:443"


@given(st.text())
def test_any_text_is_refused_or_has_a_host(text: str) -> None:
    try:
        url = parse_url(text)
    except InvalidUrl:
        return
    assert url.host
    assert not url.text.startswith("-")
    assert "\n" not in url.text


@pytest.mark.parametrize(
    "ref", ["main", "feature/x", "v1.0", "refs/heads/main", "HEAD", "", "a-b_c", "ünï", "a" * 40]
)
def test_refs(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    ["-x", "a b", "a..b", "a:b", "a~1", "a^", "a?", "a*", "[a", "a\\b", "/a", "a/", "a//b", ".a", "a/.b", "a.",
     "a.lock", "a.lock/b", "@", "a@{1}", "a\tb", "a\x7f"],
)  # fmt: skip
def test_names_that_no_ref_can_have(ref: str) -> None:
    with pytest.raises(InvalidInput):
        check_ref(ref)


def test_commits() -> None:
    assert is_commit("0123456789abcdefABCD" * 2)
    for text in ("", "abc", "g" * 40, "a" * 39, "a" * 41, "a" * 40 + "\n"):
        assert not is_commit(text), text
