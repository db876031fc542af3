"""XEP-0004: data forms; XEP-0068: FORM_TYPE."""

import pytest
from twisted.words.xish.domish import Element, elementStream

from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.errors import StanzaError


def tree(xml):
    """Return the element that a text spells."""
    stream, found = elementStream(), []
    stream.DocumentStartEvent = found.append
    stream.ElementEvent = lambda element: found[0].addChild(element)
    stream.DocumentEndEvent = lambda: None
    stream.parse(f"<x xmlns='jabber:x:data'{xml}</x>".encode())
    return found[0]


def submit(fields):
    """Return the form that a client submits with these fields."""
    return forms.read(tree(f" type='submit'>{fields}"))


def test_form_is_made_with_its_fields():
    """§3.1-§3.3; XEP-0068 §3"""
    form = forms.make(
        "form",
        "urn:example",
        [
            forms.fixed("About the room"),
            forms.field("text-single", "name", "Hall", label="Name", required=True),
            forms.field("boolean", "public", True, desc="May all see it?"),
            forms.field("list-single", "who", "any", options={"any": "Anyone", "none": None}),
            forms.field("jid-multi", "owners", ["Romeo@example.org", parse("a@b/\U0001f600")]),
            forms.field("text-single", "most", 30),
            forms.field("text-private", "secret"),
        ],
        title="Room",
        instructions=["Fill in."],
    )
    element = forms.to_element(form)
    assert element["type"] == "form"
    again = forms.read(element)
    assert again.formNamespace == "urn:example"
    assert again.title == "Room"
    assert again.instructions == ["Fill in."]
    assert forms.text(again, "name") == "Hall"
    assert again.fields["name"].required
    assert forms.boolean(again, "public") is True
    assert [option.value for option in again.fields["who"].options] == ["any", "none"]
    assert forms.jids(again, "owners") == (parse("romeo@example.org"), parse("a@b/\U0001f600"))
    assert forms.number(again, "most") == 30
    assert forms.texts(again, "secret") == ()


def test_result_with_items():
    """§3.4"""
    element = forms.table(
        "jabber:iq:search",
        [forms.field("text-single", "nick", label="Nick"), forms.field("jid-single", "jid")],
        [{"nick": "Romeo", "jid": "romeo@example.org"}, {"jid": parse("juliet@example.org")}],
    )
    form_type, reported, first, second = element.elements()
    assert (form_type["var"], form_type["type"]) == ("FORM_TYPE", "hidden")
    assert [(c["var"], c["type"], c.getAttribute("label")) for c in reported.elements()] == [
        ("nick", "text-single", "Nick"),
        ("jid", "jid-single", None),
    ]
    assert [(c["var"], str(c.value)) for c in first.elements()] == [
        ("nick", "Romeo"),
        ("jid", "romeo@example.org"),
    ]
    assert [(c["var"], c.getAttribute("type")) for c in second.elements()] == [("jid", None)]


@pytest.mark.parametrize("type", ["", " type='hidden'", " type='text-single'"])
def test_form_type_of_a_submission_need_not_be_hidden(type):
    """XEP-0068 §4.1"""
    form = submit(f"<field var='FORM_TYPE'{type}><value>urn:example</value></field>")
    assert form.formNamespace == "urn:example"
    assert "FORM_TYPE" not in form.fields


def test_form_type_of_a_result_must_be_hidden():
    """XEP-0068 §4.1"""
    form = forms.read(
        tree(" type='result'><field var='FORM_TYPE'><value>urn:example</value></field>")
    )
    assert form.formNamespace is None


@pytest.mark.parametrize(
    "xml",
    [
        ">",
        " type='other'>",
        " type='submit'><field><value>1</value></field>",
        " type='submit'><field var='a'/><field var='a'/>",
        " type='form'><field var='a' type='list-single'><option/></field>",
    ],
)
def test_what_is_no_form_is_a_bad_request(xml):
    with pytest.raises(StanzaError) as caught:
        forms.read(tree(xml))
    assert caught.value.condition == "bad-request"


def test_another_element_is_no_form():
    with pytest.raises(StanzaError):
        forms.read(Element(("urn:example", "x")))


def within(*children):
    """Return an element with these children."""
    query = Element(("urn:example", "query"))
    for child in children:
        query.addChild(child)
    return query


def test_submission_is_found_beside_other_elements():
    form = tree(" type='submit'><field var='a'><value>1</value></field>")
    found = forms.submitted(within(Element(("urn:example", "a")), form), "urn:example")
    assert forms.number(found, "a") == 1


def test_cancelled_form_is_none():
    """§3.1"""
    assert forms.submitted(within(tree(" type='cancel'>")), "urn:example") is None


@pytest.mark.parametrize(
    "parent",
    [
        None,
        within(),
        within(tree(" type='result'>")),
        within(tree(" type='submit'><field var='FORM_TYPE'><value>urn:other</value></field>")),
    ],
)
def test_what_is_no_submission_is_a_bad_request(parent):
    with pytest.raises(StanzaError) as caught:
        forms.submitted(parent, "urn:example")
    assert caught.value.condition == "bad-request"


FIELDS = submit(
    "<field var='none'/>"
    "<field var='two'><value>1</value><value>2</value></field>"
    "<field var='word'><value>maybe</value></field>"
    "<field var='big'><value>1234567890123456789</value></field>"
    "<field var='indic'><value>\u0661</value></field>"
    "<field var='five'><value>5</value></field>"
    "<field var='yes' type='boolean'><value>1</value></field>"
    "<field var='people'><value>A@b</value><value>a@b</value><value>c@b</value></field>"
)


def test_absent_values_have_defaults():
    """§3.2"""
    for var in ("absent", "none"):
        assert forms.text(FIELDS, var, "x") == "x"
        assert forms.boolean(FIELDS, var, True) is True
        assert forms.number(FIELDS, var, 7) == 7
        assert forms.choice(FIELDS, var, ("a",), "a") == "a"
        assert forms.jid(FIELDS, var) is None
    assert forms.texts(FIELDS, "absent") is None
    assert forms.lines(FIELDS, "absent") is None
    assert forms.choices(FIELDS, "absent", ()) is None
    assert forms.jids(FIELDS, "absent") is None
    assert forms.jids(FIELDS, "none") == ()


def test_values_are_read():
    assert forms.lines(FIELDS, "two") == "1\n2"
    assert forms.choices(FIELDS, "two", {"1", "2", "3"}) == ("1", "2")
    assert forms.choice(FIELDS, "word", {"maybe"}) == "maybe"
    assert forms.boolean(FIELDS, "yes") is True
    assert forms.number(FIELDS, "five", least=5, most=5) == 5
    assert forms.jids(FIELDS, "people") == (parse("a@b"), parse("c@b"))


@pytest.mark.parametrize(
    "reading",
    [
        lambda: forms.text(FIELDS, "two"),
        lambda: forms.boolean(FIELDS, "word"),
        lambda: forms.number(FIELDS, "word"),
        lambda: forms.number(FIELDS, "big"),
        lambda: forms.number(FIELDS, "indic"),
        lambda: forms.number(FIELDS, "five", least=6),
        lambda: forms.number(FIELDS, "five", most=4),
        lambda: forms.choice(FIELDS, "word", ("yes", "no")),
        lambda: forms.choices(FIELDS, "two", ("1",)),
    ],
)
def test_wrong_values_are_a_bad_request(reading):
    with pytest.raises(StanzaError) as caught:
        reading()
    assert caught.value.condition == "bad-request"


def test_wrong_address_is_malformed():
    with pytest.raises(InvalidAddress):
        forms.jid(submit("<field var='who'><value>@</value></field>"), "who")


def test_required_fields_must_have_a_value():
    """§3.2"""
    offered = forms.make("form", None, [forms.field("text-single", "five", required=True)])
    forms.check_required(FIELDS, offered)
    with pytest.raises(StanzaError) as caught:
        forms.check_required(submit("<field var='five'/>"), offered)
    assert caught.value.condition == "not-acceptable"


def test_form_namespace_is_that_of_data_forms():
    assert forms.to_element(forms.make("cancel", None)).uri == NS.DATA
