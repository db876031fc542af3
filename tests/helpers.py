"""What tests of features say often."""

from imsuite.testing.patterns import match, read


def holds(stanza, pattern):
    """Tell whether a stanza holds at least what a pattern says, as in dialogues."""
    return values(stanza, pattern) is not None


def values(stanza, pattern):
    """Return the values of the variables of a pattern that fits a stanza, None if none fits."""
    return next(match(read(pattern), read(stanza), {}), None)


def value(stanza, pattern):
    """Return the value of the one variable of a pattern that has to fit."""
    found = values(stanza, pattern)
    assert found is not None, f"{pattern}\ndoes not fit\n{stanza}"
    ((_, only),) = found.items()
    return only


def fitting(stanzas, pattern):
    """Return the stanzas that hold what a pattern says."""
    return [stanza for stanza in stanzas if holds(stanza, pattern)]


def iq_error(id, condition):
    """Return the pattern of an IQ error."""
    return (
        f"<iq type='error' id='{id}'><error>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
