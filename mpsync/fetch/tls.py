"""TLS contexts, and why a handshake failed, in words."""

from __future__ import annotations

import ssl

from mpsync.errors import ConfigError
from mpsync.model.remote import Remote


def context_for(remote: Remote, *, with_client_cert: bool) -> ssl.SSLContext:
    """The context for one origin; the client certificate is shown to the base URL's only. Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=remote.ca_file)
        if not remote.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if with_client_cert and remote.client_cert:
            context.load_cert_chain(remote.client_cert, remote.client_key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(file for file in (remote.ca_file, remote.client_cert, remote.client_key) if file)
        raise ConfigError(f"certificates {files}: {error.strerror or error}") from error
    return context


def _no_password() -> str:
    """Never ask on the terminal in the middle of a sync."""
    raise ConfigError("the client key is encrypted; decrypt it first")


def tls_reason(error: BaseException) -> str | None:
    """Why TLS failed, if that is what ``error`` or one of its causes is about; None otherwise."""
    cause: BaseException | None = error
    for _ in range(8):  # a chain is short; a loop in it would not be
        if cause is None:
            return None
        # aiohttp's own classes are ssl's too, but what they say is in the error they wrap.
        inner = getattr(cause, "os_error", None) or getattr(cause, "certificate_error", None)
        if isinstance(inner, BaseException):
            cause = inner
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message or "the certificate can't be verified"
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            return None  # a cut, not a verdict
        if isinstance(cause, ssl.SSLError):
            return (cause.reason or str(cause)).lower().replace("_", " ")
        cause = cause.__cause__ or cause.__context__
    return None
