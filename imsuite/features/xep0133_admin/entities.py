"""XEP-0133 §4.11, §4.12, §4.29: whom the domain talks to, and who administers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from imsuite.core.hooks import Passing
from imsuite.features.xep0133_admin.nodes import Faces, Field, Form, done, many_jids
from imsuite.rules.adhoc import AdHoc, Done
from imsuite.rules.domain_lists import BOTH, IN, OUT
from imsuite.xmpp import forms
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

# fields besides those of the specification, named as XEP-0068 §3.3 wants it
ONE_WAY = {IN: "x-inbound", OUT: "x-outbound"}
LABELS = {
    BOTH: "The {}",
    IN: "Of these only what they send is meant",
    OUT: "Of these only what is sent to them is meant",
}
MEANING = {
    "blacklist": "communications are disallowed",
    "whitelist": "alone communications are allowed; nobody: with everybody",
}


def commands(faces: Faces) -> Iterator[AdHoc]:
    """Yield the commands of these sections."""
    for name, meaning in MEANING.items():
        yield faces.with_form(
            f"edit-{name}",
            f"Edit {name.capitalize()}",
            name,
            _edited(faces, name),
            _edit(faces, name),
            f"Fill out this form to edit the list of entities with whom {meaning}.",
        )
        # §4.12 names one for both directions, too
        ways = {IN: "-in", OUT: "-out"} | ({BOTH: ""} if name == "whitelist" else {})
        for way, suffix in ways.items():
            where = {IN: " (Inbound)", OUT: " (Outbound)", BOTH: ""}[way]
            yield faces.with_form(
                f"add-to-{name}{suffix}",
                f"Add to {name.capitalize()}{where}",
                name,
                (forms.field("jid-multi", f"{name}jids", label="To be added", required=True),),
                _add(faces, name, way),
                f"Fill out this form to add entities with whom {meaning}.",
            )
    yield faces.with_form(
        "edit-admin",
        "Edit Admin List",
        "setadmin",
        _admins(faces),
        _edit_admins(faces),
        "Fill out this form to edit the list of entities who have administrative privileges.",
    )


def _vars(name: str) -> dict[str, str]:
    """Return the field for each direction."""
    return {BOTH: f"{name}jids", **ONE_WAY}


def _edited(faces: Faces, name: str) -> Callable[[Passing], Awaitable[Iterable[Field]]]:
    async def fields(passing: Passing) -> list[Field]:
        """§4.11: the list as it is; who is on it in one direction only is shown apart."""
        rows = await faces.give(passing, name)
        return [
            forms.field(
                "jid-multi",
                var,
                [jid for _, jid, direction in rows if direction == way],
                label=LABELS[way].format(name),
            )
            for way, var in _vars(name).items()
        ]

    return fields


def _edit(faces: Faces, name: str) -> Callable[[Passing, Form], Awaitable[Done]]:
    async def edit(passing: Passing, form: Form) -> Done:
        """§4.11: what a field holds replaces the list; one that is absent changes nothing."""
        rows = await faces.give(passing, name)
        before = {jid: direction for _, jid, direction in rows}
        after: dict[str, str] = {}
        for way, var in _vars(name).items():
            if forms.texts(form, var) is None:
                after |= {jid: way for jid, known in before.items() if known == way}
        for way, var in _vars(name).items():
            for jid in many_jids(form, var):
                full = parse(jid).full
                # named for both ways one by one
                ways = {after.get(full, way) if full not in before else way, way}
                after[full] = way if len(ways) == 1 else BOTH
        gone = [jid for jid in before if jid not in after]
        for way in (BOTH, IN, OUT):
            fresh = [jid for jid, now in after.items() if now == way and before.get(jid) != way]
            _spare(passing, fresh, name)
            if fresh:
                await faces.give(passing, name, add=fresh, direction=way)
        if gone:
            await faces.give(passing, name, remove=gone)
        return done(f"On the {name} now: {len(after)}.")

    return edit


def _add(faces: Faces, name: str, way: str) -> Callable[[Passing, Form], Awaitable[Done]]:
    async def add(passing: Passing, form: Form) -> Done:
        """§4.11, §4.12: in one direction, or in both where the other one is on the list."""
        rows = await faces.give(passing, name)
        before = {jid: direction for _, jid, direction in rows}
        fresh = [parse(jid).full for jid in many_jids(form, f"{name}jids")]
        _spare(passing, fresh, name)
        for jid in fresh:
            direction = way if before.get(jid, way) == way else BOTH
            await faces.give(passing, name, add=[jid], direction=direction)
        return done(f"{len(fresh)} added.")

    return add


def _spare(passing: Passing, jids: Iterable[str], name: str) -> None:
    """Raise StanzaError if administrators are about to shut themselves out."""
    own = {passing.sender.bare, passing.sender.full, passing.sender.domain}
    if name == "blacklist" and own.intersection(jids):
        raise StanzaError("conflict", text="the list would have whoever edits it")


def _admins(faces: Faces) -> Callable[[Passing], Awaitable[Iterable[Field]]]:
    async def fields(passing: Passing) -> list[Field]:
        """§4.29: those of the configuration are only shown."""
        rows = await faces.give(passing, "admins")
        made = [jid for jid, because, _ in rows if because == "command"]
        named = [jid for jid, because, _ in rows if because != "command"]
        found = [forms.field("jid-multi", "adminjids", made, label="The admin list")]
        if named:
            found.append(forms.fixed(f"By the configuration also: {', '.join(named)}"))
        return found

    return fields


def _edit_admins(faces: Faces) -> Callable[[Passing, Form], Awaitable[Done]]:
    async def edit(passing: Passing, form: Form) -> Done:
        """§4.29: nobody takes their own rights away, so that somebody keeps them."""
        rows: list[Any] = await faces.give(passing, "admins")
        before = {jid for jid, because, _ in rows if because == "command"}
        named = {jid for jid, because, _ in rows if because != "command"}
        wanted = {parse(jid).full for jid in many_jids(form, "adminjids")} - (named - before)
        if passing.sender.bare in before - wanted:
            raise StanzaError("not-allowed", text="nobody removes themselves")
        wrong = []
        if wanted - before:
            added = sorted(wanted - before)
            wrong += await faces.give_each(passing, "setadmin", added, admin=True)
        if before - wanted:
            removed = sorted(before - wanted)
            wrong += await faces.give_each(passing, "setadmin", removed, admin=False)
        return done("The list was changed.", wrong)

    return edit
