import pytest

from iarnet.models.quantity import format_millis, format_size, parse_millis, parse_size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lots",
        "-1Gi",
        "1Xi",
        "i",
        "1e3",
        "nan",
        "inf",
        "1.2.3",
        "1 2",
        "5i",
        "٣Gi",
        "9" * 400,
        "9999999Pi",
        True,
        None,
        [],
    ],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r"must be a size|too large"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "-1", "two", "1.5x", "1e3", "nan", "9" * 400, True, None])
def test_what_is_no_number_of_cores_is_refused(text):
    with pytest.raises(ValueError, match=r"must be a number|too large"):
        parse_millis(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16Gi", 16 * 1024**3),
        ("512Mi", 512 * 1024**2),
        ("100MB", 100_000_000),
        ("100m", 100_000_000),
        ("1.5 KiB", 1536),
        ("7", 7),
        ("7B", 7),
        (42, 42),
        ("0", 0),
        ("2T", 2 * 10**12),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "millis"), [("8", 8000), ("0.5", 500), ("250m", 250), (2, 2000), (0.1, 100)])
def test_cores(text, millis):
    assert parse_millis(text) == millis


def test_written_form_reads_back():
    assert [format_size(n) for n in (0, 100, 1024, 1536 * 1024, 16 * 1024**3)] == ["0", "100", "1Ki", "1.5Mi", "16Gi"]
    assert [format_size(n) for n in (1000, 100_000_000, 1_600_000)] == ["1k", "100M", "1600k"]
    assert [format_millis(n) for n in (0, 250, 8000, 1500)] == ["0", "0.25", "8", "1.5"]
    assert all(parse_millis(format_millis(n)) == n for n in range(3000))
