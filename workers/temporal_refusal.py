"""Why a Temporal can't be used, in words: what the SDK says is the inside of its own network stack."""

from iarnet.errors import Missing

_ADDRESS = "Check temporal.address; leave it empty for a Temporal of our own."
_CLIENT = "Check whether it wants TLS (temporal.tls), and which client certificate or API key."
_REASONS = (
    ("dns error", "there is no such host", _ADDRESS),
    ("Connection refused", "nothing listens there", _ADDRESS),
    ("NotValidForName", "its certificate is for another name", "Set temporal.tls.server_name to the name in it."),
    ("InvalidCertificate", "its certificate is not to be trusted", "Set temporal.tls.ca_file to its authority."),
    ("InvalidContentType", "it does not speak TLS", "Set temporal.tls.enabled to false."),
    ("Timeout expired", "it does not answer", _ADDRESS),
    ("AlertReceived", "it refuses our certificate", _CLIENT),
    ("connection closed", "it ends the connection", _CLIENT),
    ("transport error", "it ends the connection", _CLIENT),
    ("h2 protocol error", "it does not speak gRPC", _ADDRESS),
    ("Unimplemented", "it is no Temporal", _ADDRESS),
)


def refusal(address: str, error: Exception) -> Missing:
    """`error` is what the SDK raised, or a timeout of ours; its own words go along as the log."""
    said = str(error) or "Timeout expired"
    known = ((why, hint) for word, why, hint in _REASONS if word in said)
    why, hint = next(known, (said.rstrip("."), "Check the address, the certificates and the API key."))
    return Missing(
        f"Temporal at {address} can't be used: {why}.",
        where="temporal.address",
        hint=hint,
        log=() if why in said else (said,),
    )
