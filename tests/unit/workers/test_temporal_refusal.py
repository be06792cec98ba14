import pytest

from iarnet.errors import Missing
from workers.temporal_refusal import refusal


@pytest.mark.parametrize(
    ("said", "why", "hint"),
    [
        ("tonic: InvalidCertificate(NotValidForNameContext { expected: x })", "another name", "server_name"),
        ("tonic: InvalidCertificate(UnknownIssuer)", "not to be trusted", "ca_file"),
        ('tonic: Os { code: 111, message: "Connection refused" }', "nothing listens", "temporal.address"),
        ("", "does not answer", "temporal.address"),
        ("something new.", "something new", "certificates"),
    ],
)
def test_the_words_of_the_network_stack_become_a_reason(said: str, why: str, hint: str) -> None:
    error = refusal("t:7233", RuntimeError(said))
    assert isinstance(error, Missing)
    assert why in error.message
    assert hint in error.hint
    assert error.message.startswith("Temporal at t:7233 can't be used: ")
    assert not error.message.endswith("..")
    assert error.log == (() if why == "something new" else (said or "Timeout expired",))
