import asyncio
import base64
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.errors import InvalidConfig, InvalidInput, NotFound
from iarnet.models.component import EnvVar
from iarnet.secrets.sealed import MemoryRows, SealedSecrets, load_key

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.fixture
def rows() -> MemoryRows:
    return MemoryRows()


@pytest.fixture
def sealed(rows: MemoryRows) -> SealedSecrets:
    return SealedSecrets(rows, KEY)


async def test_another_key_opens_nothing_and_says_so(rows: MemoryRows, sealed: SealedSecrets) -> None:
    await sealed.put("shop/db/password", "sesame")
    other = SealedSecrets(rows, OTHER)
    for call in (other.get("shop/db/password"), other.check()):
        with pytest.raises(InvalidConfig, match="another key") as error:
            await call
        assert error.value.where == "secrets.key_file"
    await sealed.check()


async def test_a_value_moved_to_another_name_is_refused(rows: MemoryRows, sealed: SealedSecrets) -> None:
    await sealed.put("shop/db/password", "sesame")
    stolen = await rows.get("shop/db/password/")
    assert stolen
    await rows.put("evil/web/word/", stolen)
    with pytest.raises(InvalidConfig):
        await sealed.get("evil/web/word")


@pytest.mark.parametrize("at", [0, 1, 13, -1])
async def test_a_changed_value_is_refused(rows: MemoryRows, sealed: SealedSecrets, at: int) -> None:
    await sealed.put("a", "sesame")
    changed = bytearray(await rows.get("a/") or b"")
    changed[at] ^= 1
    await rows.put("a/", bytes(changed))
    with pytest.raises(InvalidConfig):
        await sealed.get("a")


async def test_a_value_cut_short_is_refused(rows: MemoryRows, sealed: SealedSecrets) -> None:
    for rest in (b"", b"\x01", b"\x01" * 13):
        await rows.put("a/", rest)
        with pytest.raises(InvalidConfig):
            await sealed.get("a")


async def test_what_is_not_there(sealed: SealedSecrets) -> None:
    with pytest.raises(NotFound):
        await sealed.get("none")
    with pytest.raises(NotFound):
        await sealed.resolve(EnvVar(name="X", secret="none"))
    for name in ("", "/a", "a/"):
        with pytest.raises(InvalidInput):
            await sealed.put(name, "x")


@pytest.mark.parametrize("value", ["sesame", "", "ünï\n\0", "x" * 100_000])
async def test_values_come_back_and_are_not_stored_in_clear(
    rows: MemoryRows, sealed: SealedSecrets, value: str
) -> None:
    await sealed.put("a", value)
    await sealed.put("b", value)
    assert await sealed.get("a") == value
    assert await SealedSecrets(rows, KEY).get("b") == value
    first, second = await rows.get("a/"), await rows.get("b/")
    assert first != second
    assert len(value) < 3 or value.encode() not in (first or b"")


async def test_a_prefix_is_a_folder(sealed: SealedSecrets) -> None:
    for name in ("shop/db/password", "shop/db", "shop2/db/password", "shop/dbx", "credentials/hub"):
        await sealed.put(name, "sesame")
    assert await sealed.names("shop/db") == ["shop/db", "shop/db/password"]
    await sealed.delete("shop/db")
    assert await sealed.names() == ["credentials/hub", "shop/dbx", "shop2/db/password"]
    await sealed.delete("shop/")
    assert await sealed.names() == ["credentials/hub", "shop2/db/password"]
    for everything in ("", "/"):
        with pytest.raises(InvalidInput):
            await sealed.delete(everything)


async def test_ensure_makes_one_once(sealed: SealedSecrets) -> None:
    await asyncio.gather(*(sealed.ensure("a", 40) for _ in range(10)))
    made = await sealed.get("a")
    await sealed.ensure("a")
    await sealed.ensure("b")
    assert await sealed.get("a") == made
    assert len(made) == 40
    assert made.isalnum()
    assert len(await sealed.get("b")) == 32
    assert await sealed.get("b") != made[:32]


async def test_settings_are_resolved(sealed: SealedSecrets) -> None:
    await sealed.put("shop/db/password", "se{secret}same")
    reference = "shop/db/password"
    assert await sealed.resolve(EnvVar(name="X", value="plain {secret}")) == "plain {secret}"
    assert await sealed.resolve(EnvVar(name="X")) is None
    assert await sealed.resolve(EnvVar(name="X", secret=reference)) == "se{secret}same"
    url = EnvVar(name="X", value="pg://app:{secret}@db", secret=reference)
    assert await sealed.resolve(url) == "pg://app:se{secret}same@db"


async def test_redacting(rows: MemoryRows, sealed: SealedSecrets) -> None:
    assert sealed.redact("sesame") == "sesame"
    await sealed.put("a", "sesame")
    await sealed.put("b", "sesame-street")
    await sealed.put("short", "abc")
    await sealed.put("sign", "p@ss/word+")
    await sealed.put("key", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n-----END KEY-----\n")
    assert sealed.redact("x sesame-street sesame abc") == "x *** *** abc"
    assert sealed.redact("pg://p%40ss%2Fword%2B@db p@ss/word+") == "pg://***@db ***"
    assert sealed.redact("MIIEvQIBADANBgkqhkiG9w0B and -----BEGIN KEY-----") == "*** and -----BEGIN KEY-----"
    fresh = SealedSecrets(rows, KEY)
    assert fresh.redact("sesame") == "sesame"
    await fresh.get("a")
    assert fresh.redact("sesame") == "***"


@given(st.text(min_size=6), st.text(), st.text())
def test_no_value_survives_redaction(value: str, before: str, after: str) -> None:
    sealed = SealedSecrets(MemoryRows(), KEY)
    asyncio.run(sealed.put("a", value))
    if value not in "***":
        assert value not in sealed.redact(before + value + after) or value in before + "***" + after


def test_a_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secrets.key"
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(load_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secrets.key"]


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"short")])
def test_a_broken_key_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidConfig, match="holds no key"):
        SealedSecrets.open(MemoryRows(), path)
    assert path.read_bytes() == content


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_key(path)
    path.chmod(0o640)
    with pytest.raises(InvalidConfig) as error:
        load_key(path)
    assert "chmod 600" in error.value.hint


def test_a_key_of_the_wrong_length() -> None:
    with pytest.raises(InvalidConfig):
        SealedSecrets(MemoryRows(), b"short")


async def test_what_was_stored_before_is_redacted_too(rows: MemoryRows, sealed: SealedSecrets) -> None:
    """What still runs from before a restart prints what nobody has resolved since."""
    await sealed.put("shop/db/password", "open sesame")
    await sealed.put("shop/web/token", "abracadabra")
    again = SealedSecrets(rows, KEY)
    await again.check()
    assert again.redact("open sesame, abracadabra") == "***, ***"


async def test_one_damaged_secret_does_not_keep_the_others_from_being_redacted(
    rows: MemoryRows, sealed: SealedSecrets
) -> None:
    for name in ("a", "b", "c"):
        await sealed.put(name, f"value of {name}")
    await rows.put("b/", b"\x01 damaged beyond repair, with bytes enough for a nonce")
    again = SealedSecrets(rows, KEY)
    await again.check()
    assert again.redact("value of a, value of c") == "***, ***"
