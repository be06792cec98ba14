from iarnet.builds.output import LINES_KEPT, Output


def heard(*messages: dict[str, object]) -> tuple[Output, list[str]]:
    lines: list[str] = []
    output = Output(lines.append, redact=lambda text: text.replace("sesame", "***"))
    for message in messages:
        output.hear(message)
    return output, lines


def test_lines_are_put_together() -> None:
    output, lines = heard(
        {"stream": "Step 1/2 : FROM a\n"}, {"stream": "one"}, {"stream": " two\nth"}, {"stream": "ree"}
    )
    assert lines == ["Step 1/2 : FROM a", "one two"]
    assert output.end() == ("Step 1/2 : FROM a", "one two", "three")
    assert output.instruction == "FROM"


def test_lines_are_plain() -> None:
    raw = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07sesame\x08\r\n10%\r 50%\r100%\n\n  \n"
    assert heard({"stream": raw})[1] == ["red ***", "100%"]


def test_a_line_without_end_is_cut() -> None:
    output, lines = heard({"stream": "x" * 10_000})
    assert [len(line) for line in lines] == [4000]
    assert output.end() == (lines[0],)


def test_progress_of_pulls_is_left_out() -> None:
    assert heard(
        {"status": "Pulling", "id": "ab"}, {"status": "Downloading", "id": "ab", "progressDetail": {"current": 1}}
    )[1] == ["ab: Pulling"]


def test_an_error_comes_last_and_only_the_end_is_kept() -> None:
    output, lines = heard(
        *({"stream": f"{n}\n"} for n in range(100)), {"error": "sesame broke"}, {"aux": {"ID": "x"}}
    )
    assert len(lines) == 100
    assert len(output.end()) == LINES_KEPT
    assert output.end()[-1] == "*** broke"
    assert output.error == "*** broke"
