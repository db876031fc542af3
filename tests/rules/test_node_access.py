"""XEP-0060 §4: affiliations, and who may do what with a node."""

import pytest

from imsuite.rules.node_access import (
    AccessModel,
    Affiliation,
    May,
    PublishModel,
    Subscribed,
    barred,
    first_state,
    may,
    may_publish,
    unsubscribable,
)

OWNER, PUBLISHER, PUBLISH_ONLY, MEMBER, NONE, OUTCAST = Affiliation

# §4.1, with its words; "own" where the note leaves the choice to us
TABLE = """
                 subscribe retrieve publish delete-item purge configure delete-node
    owner        yes       yes      yes     yes         yes   yes       yes
    publisher    yes       yes      yes     own         no    no        no
    publish-only no        no       yes     own         no    no        no
    member       yes       yes      no      own         no    no        no
    none         yes       yes      no      own         no    no        no
    outcast      no        no       no      no          no    no        no
"""
COLUMNS, *ROWS = (line.split() for line in TABLE.strip().splitlines())
RIGHTS = {
    "subscribe": May.SUBSCRIBE,
    "retrieve": May.RETRIEVE,
    "publish": May.PUBLISH,
    "delete-item": May.DELETE_ITEM,
    "purge": May.PURGE,
    "configure": May.CONFIGURE,
    "delete-node": May.DELETE_NODE,
}


@pytest.mark.parametrize(
    ("affiliation", "column", "cell"),
    [(row[0], column, cell) for row in ROWS for column, cell in zip(COLUMNS, row[1:], strict=True)],
)
def test_table_of_affiliations(affiliation, column, cell):
    """§4.1; what somebody once published, by an open publish model too, it may take back."""
    assert may(Affiliation(affiliation), RIGHTS[column]) is (cell == "yes")
    if column == "delete-item":
        assert may(Affiliation(affiliation), May.DELETE_OWN) is (cell != "no")


def why(error):
    if error is None:
        return None
    return error.condition if error.app is None else f"{error.condition} {error.app[1]}"


PRESENCE = "not-authorized presence-subscription-required"
GROUP = "not-authorized not-in-roster-group"
CLOSED = "not-allowed closed-node"
NOT_SUBSCRIBED = "not-authorized not-subscribed"


@pytest.mark.parametrize(
    ("affiliation", "model", "knows", "in_group", "subscribed", "error"),
    [
        (NONE, "open", False, False, False, None),
        (NONE, "presence", False, False, False, PRESENCE),
        (NONE, "presence", True, False, False, None),
        (NONE, "roster", True, False, False, GROUP),
        (NONE, "roster", False, True, False, PRESENCE),
        (NONE, "roster", True, True, False, None),
        (NONE, "authorize", True, True, False, NOT_SUBSCRIBED),
        (NONE, "authorize", False, False, True, None),
        (NONE, "whitelist", True, True, True, CLOSED),
        (MEMBER, "whitelist", False, False, False, None),
        (MEMBER, "authorize", False, False, False, None),
        (MEMBER, "presence", False, False, False, PRESENCE),
        (PUBLISHER, "presence", False, False, False, None),
        (PUBLISHER, "whitelist", False, False, False, None),
        (OWNER, "roster", False, False, False, None),
        (PUBLISH_ONLY, "open", True, True, True, "forbidden"),
        (OUTCAST, "open", True, True, True, "forbidden"),
        (OUTCAST, "whitelist", True, True, True, "forbidden"),
    ],
)
def test_who_may_retrieve(affiliation, model, knows, in_group, subscribed, error):
    """§6.5.2, §6.5.9, §12.13"""
    assert why(barred(affiliation, AccessModel(model), knows, in_group, subscribed)) == error


@pytest.mark.parametrize(
    ("affiliation", "model", "knows", "in_group", "error"),
    [
        (NONE, "open", False, False, None),
        (NONE, "authorize", False, False, None),
        (NONE, "presence", False, False, PRESENCE),
        (NONE, "roster", True, False, GROUP),
        (NONE, "whitelist", True, True, CLOSED),
        (OWNER, "whitelist", False, False, None),
        (PUBLISH_ONLY, "open", False, False, "forbidden"),
        (OUTCAST, "open", False, False, "forbidden"),
    ],
)
def test_who_may_subscribe(affiliation, model, knows, in_group, error):
    """§6.1.3"""
    assert why(unsubscribable(affiliation, AccessModel(model), knows, in_group)) == error


@pytest.mark.parametrize("affiliation", Affiliation)
@pytest.mark.parametrize("model", PublishModel)
@pytest.mark.parametrize("subscribed", [True, False])
def test_who_may_publish(affiliation, model, subscribed):
    """§16.4.4, pubsub#publish_model: publishers always, outcasts never."""
    listed = affiliation in (OWNER, PUBLISHER, PUBLISH_ONLY)
    opened = model == "open" or (model == "subscribers" and subscribed)
    expected = listed or (opened and affiliation is not OUTCAST)
    assert may_publish(affiliation, model, subscribed) is expected


@pytest.mark.parametrize("affiliation", Affiliation)
@pytest.mark.parametrize("model", AccessModel)
def test_only_strangers_wait_for_approval(affiliation, model):
    """§6.1.4: members and publishers are let in."""
    waits = model == "authorize" and affiliation in (NONE, OUTCAST, PUBLISH_ONLY)
    expected = Subscribed.PENDING if waits else Subscribed.SUBSCRIBED
    assert first_state(affiliation, model) is expected
