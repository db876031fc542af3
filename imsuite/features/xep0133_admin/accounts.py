"""XEP-0133 §4.1-§4.10: accounts."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from twisted.words.xish.domish import Element

from imsuite.core.feature import At
from imsuite.core.hooks import Passing
from imsuite.features.xep0133_admin.nodes import (
    NS_ADMIN,
    Faces,
    Form,
    account_field,
    accounts_field,
    done,
    many_jids,
    one_jid,
    result_form,
    shown,
)
from imsuite.rules.adhoc import AdHoc, Done, Note, refused
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import iq_set

NS_VCARD = "vcard-temp"

ADD_USER = (
    account_field("The Jabber ID for the account to be added"),
    forms.field("text-private", "password", label="The password for this account", required=True),
    forms.field("text-private", "password-verify", label="Retype password"),
    forms.field("text-single", "email", label="Email address"),
    forms.field("text-single", "given_name", label="Given name"),
    forms.field("text-single", "surname", label="Family name"),
)
CHANGE_PASSWORD = (
    account_field("The Jabber ID for this account"),
    forms.field("text-private", "password", label="The password for this account", required=True),
)


def commands(faces: Faces) -> Iterator[AdHoc]:
    """Yield the commands of these sections."""
    yield faces.with_form(
        "add-user",
        "Add User",
        "adduser",
        ADD_USER,
        Adding(faces).add,
        "Fill out this form to add a user.",
    )
    for word, name, covers, label, verb, text in (
        ("delete-user", "Delete User", "deluser", "to delete", "delete a user", "deleted"),
        ("disable-user", "Disable User", "disable", "to disable", "disable a user", "disabled"),
        (
            *("reenable-user", "Re-Enable User", "enable", "to re-enable", "re-enable a user"),
            "enabled",
        ),
        (
            *("end-user-session", "End User Session", "kick", "for which to end sessions"),
            *("end a user's session", "ended"),
        ),
    ):
        yield faces.with_form(
            word,
            name,
            covers,
            (accounts_field(f"The Jabber ID(s) {label}"),),
            Each(faces, covers, text).do,
            f"Fill out this form to {verb}.",
        )
    yield AdHoc(
        f"{NS_ADMIN}#get-user-password",
        "Get User Password",
        _no_password,
        faces.host.commands.command("passwd").who,
        listed=False,
    )
    yield faces.with_form(
        "change-user-password",
        "Change User Password",
        "passwd",
        CHANGE_PASSWORD,
        Telling(faces).change_password,
        "Fill out this form to change a user's password.",
    )
    yield faces.with_form(
        "get-user-roster",
        "Get User Roster",
        "roster",
        (accounts_field("The Jabber ID(s) for which to retrieve the roster"),),
        Telling(faces).rosters,
        "Fill out this form to get a user's roster.",
    )
    yield faces.with_form(
        "get-user-lastlogin",
        "Get User Last Login Time",
        "user",
        (accounts_field("The Jabber ID(s) for which to retrieve the last login time"),),
        Telling(faces).last_logins,
        "Fill out this form to get a user's last login time.",
    )
    yield faces.with_form(
        "user-stats",
        "Get User Statistics",
        "user",
        (account_field("The Jabber ID for statistics"),),
        Telling(faces).statistics,
        "Fill out this form to gather user statistics.",
    )


async def _no_password(passing: Passing) -> Done:
    """§4.6, §5: retracted, and nobody knows it: what is stored is no password."""
    raise StanzaError("feature-not-implemented", text="passwords are not stored")


class Each:
    """Does the same to several accounts. text: what was done, in a word."""

    def __init__(self, faces: Faces, command: str, text: str) -> None:
        self._faces = faces
        self._command = command
        self._text = text

    async def do(self, passing: Passing, form: Form) -> Done:
        """§4.2-§4.5"""
        jids = many_jids(form)
        wrong = await self._faces.give_each(passing, self._command, jids)
        return done(f"{len(set(jids)) - len(wrong)} {self._text}.", wrong)


class Adding:
    """§4.1: makes accounts."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces

    async def add(self, passing: Passing, form: Form) -> Done:
        """Make an account; who it is goes into its vCard."""
        jid, password = one_jid(form), forms.text(form, "password") or ""
        again = forms.text(form, "password-verify")
        if again is not None and again != password:
            raise refused("bad-payload", "the passwords differ")
        ((made,),) = await self._faces.give(passing, "adduser", jid=jid, password=password)
        notes = await self._introduce(parse(made).local, form)
        return Done((("info", f"{made} was added."), *notes))

    async def _introduce(self, local: str, form: Form) -> tuple[Note, ...]:
        """Write the vCard of a new account, as its owner would (XEP-0054 §3.2)."""
        given, family, email = (
            forms.text(form, var) or "" for var in ("given_name", "surname", "email")
        )
        account = await self._faces.host.account(local)
        if account is None or not (given or family or email):
            return ()
        card = Element((NS_VCARD, "vCard"))
        card.addElement("FN", content=" ".join(name for name in (given, family) if name) or local)
        if given or family:
            name = card.addElement("N")
            name.addElement("FAMILY", content=family)
            name.addElement("GIVEN", content=given)
        if email:
            mail = card.addElement("EMAIL")
            mail.addElement("INTERNET")
            mail.addElement("USERID", content=email)
        stanza = iq_set(account.bare, account.bare, secrets.token_hex(8), card)
        try:
            later = self._faces.host.dispatch(Passing(stanza, account, account.jid), At.SELF)
            if later is not None:
                await later
        except StanzaError as why:
            return (("warn", f"the vCard was not written: {why.text or why.condition}"),)
        return ()


class Telling:
    """§4.7-§4.10"""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces

    async def change_password(self, passing: Passing, form: Form) -> Done:
        """§4.7"""
        password = forms.text(form, "password") or ""
        await self._faces.give(passing, "passwd", jid=one_jid(form), password=password)
        return done("The password was changed.")

    async def rosters(self, passing: Passing, form: Form) -> Done:
        """§4.8: a form for each account, with its roster inside."""
        found = []
        for jid in dict.fromkeys(many_jids(form)):
            rows = await self._faces.give(passing, "roster", jid=jid)
            element = result_form({"accountjids": [parse(jid)]})
            element.addChild(_roster(rows))
            found.append(element)
        return Done((), tuple(found))

    async def last_logins(self, passing: Passing, form: Form) -> Done:
        """§4.9: a table where it is asked of several accounts."""
        rows: list[dict[str, Any]] = []
        for jid in dict.fromkeys(many_jids(form)):
            known: dict[str, Any] = dict(await self._faces.give(passing, "user", jid=jid))
            last = known.get("last login")
            rows.append(
                {"accountjids": [parse(jid)], **({} if last is None else {"lastlogin": str(last)})}
            )
        if len(rows) == 1:
            notes = () if "lastlogin" in rows[0] else (("info", "No login is known."),)
            return shown(rows[0], notes)
        columns = (
            forms.field("jid-multi", "accountjids", label="Account"),
            forms.field("text-single", "lastlogin", label="Last login"),
        )
        return Done((), (forms.table(NS_ADMIN, columns, rows, "Last Login Times"),))

    async def statistics(self, passing: Passing, form: Form) -> Done:
        """§4.10"""
        known: dict[str, Any] = dict(await self._faces.give(passing, "user", jid=one_jid(form)))
        found: dict[str, Any] = {
            "ipaddresses": known["addresses"],
            "rostersize": known.get("contacts"),
            "onlineresources": known["resources"],
            "stanzaspersecond": known["stanzas a second"],
            "loginsperminute": known.get("logins a minute"),
        }
        return shown(
            {
                var: value if isinstance(value, list) else str(value)
                for var, value in found.items()
                if value is not None
            }
        )


def _roster(rows: list[tuple[Any, ...]]) -> Element:
    """Return a roster (RFC 6121 §2.1.1)."""
    query = Element((NS.ROSTER, "query"))
    for contact, name, subscription, ask, groups in rows:
        item = query.addElement("item")
        item["jid"], item["subscription"] = contact, subscription
        if name:
            item["name"] = name
        if ask:
            item["ask"] = ask
        for group in groups:
            item.addElement("group", content=group)
    return query
