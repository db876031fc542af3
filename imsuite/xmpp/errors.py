"""What can go wrong, in the words of RFC 6120: stanza errors, stream errors, and silence."""

from __future__ import annotations

# RFC 6120 §8.3.3: each defined condition with the error type that fits it
CONDITIONS = {
    "bad-request": "modify",
    "conflict": "cancel",
    "feature-not-implemented": "cancel",
    "forbidden": "auth",
    "gone": "cancel",
    "internal-server-error": "cancel",
    "item-not-found": "cancel",
    "jid-malformed": "modify",
    "not-acceptable": "modify",
    "not-allowed": "cancel",
    "not-authorized": "auth",
    "policy-violation": "modify",
    "recipient-unavailable": "wait",
    "redirect": "modify",
    "registration-required": "auth",
    "remote-server-not-found": "cancel",
    "remote-server-timeout": "wait",
    "resource-constraint": "wait",
    "service-unavailable": "cancel",
    "subscription-required": "auth",
    "undefined-condition": "cancel",
    "unexpected-request": "wait",
}

# RFC 6120 §4.9.3: the defined conditions of a stream error
STREAM_CONDITIONS = frozenset(
    (
        "bad-format",
        "bad-namespace-prefix",
        "conflict",
        "connection-timeout",
        "host-gone",
        "host-unknown",
        "improper-addressing",
        "internal-server-error",
        "invalid-from",
        "invalid-namespace",
        "invalid-xml",
        "not-authorized",
        "not-well-formed",
        "policy-violation",
        "remote-connection-failed",
        "reset",
        "resource-constraint",
        "restricted-xml",
        "see-other-host",
        "system-shutdown",
        "undefined-condition",
        "unsupported-encoding",
        "unsupported-feature",
        "unsupported-stanza-type",
        "unsupported-version",
    )
)


class ImsuiteError(Exception):
    """Base of every error that imsuite raises on purpose."""


class StanzaError(ImsuiteError):
    """Refuses one stanza; its sender is answered with this error (RFC 6120 §8.3).

    condition: a defined condition; type: "auth", "cancel", "continue", "modify" or "wait",
    by default what the RFC recommends; text: for people, may be shown to the sender;
    app: (namespace, name) of an application-specific condition, or None; feature: attribute of
    that condition, which names what is not supported (XEP-0060 §6.1.3.10), or None; by: who
    found the error, if that is not the address the stanza was sent to; uri: with "gone" and
    "redirect", where it is now (RFC 6120 §8.3.3.5).
    """

    def __init__(
        self,
        condition: str,
        type: str | None = None,
        text: str | None = None,
        app: tuple[str, str] | None = None,
        feature: str | None = None,
        by: str | None = None,
        uri: str | None = None,
    ) -> None:
        super().__init__(condition, text)
        self.by = by
        self.condition = condition
        self.type = CONDITIONS[condition] if type is None else type
        self.text = text
        self.app = app
        self.feature = feature
        self.uri = uri


class StreamError(ImsuiteError):
    """Ends a stream (RFC 6120 §4.9).

    condition: a defined stream error condition; app: an application-specific condition, whole.
    """

    def __init__(self, condition: str, text: str | None = None, app: bytes = b"") -> None:
        if condition not in STREAM_CONDITIONS:
            raise ValueError(f"not a stream error condition: {condition}")
        super().__init__(condition, text)
        self.condition = condition
        self.text = text
        self.app = app


class Dropped(ImsuiteError):
    """Ends the handling of a stanza in silence."""
