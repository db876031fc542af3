"""XEP-0133 §4.13-§4.22: how many accounts there are, and which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from imsuite.core.hooks import Passing
from imsuite.features.xep0133_admin.nodes import Faces, Form, shown
from imsuite.rules.adhoc import AdHoc, Done
from imsuite.xmpp import forms

MOST = 1000  # addresses in one list
SIZES = ("25", "50", "75", "100", "150", "200")

# word in the node and in `counts` → field of the list, which §8.2 has not for idle accounts
WORDS = {
    "registered": "registereduserjids",
    "disabled": "disableduserjids",
    "online": "onlineuserjids",
    "active": "activeuserjids",
    "idle": "activeuserjids",
}
# §4.21, §4.22 name their nodes otherwise than the sections before them
NODES = {"active": "get-active-users", "idle": "get-idle-users"}


def commands(faces: Faces) -> Iterator[AdHoc]:
    """Yield the commands of these sections."""
    for word in WORDS:
        yield faces.at_once(
            f"get-{word}-users-num",
            f"Get Number of {word.capitalize()} Users",
            "counts",
            partial(count, faces, word),
        )
    for word in WORDS:
        named = f"get-{word}-users-list"
        for node in dict.fromkeys((NODES.get(word, named), named)):
            yield faces.with_form(
                node,
                f"Get List of {word.capitalize()} Users",
                "users" if word in ("registered", "disabled") else "online",
                (
                    forms.field(
                        "list-single",
                        "max_items",
                        label="Maximum number of items to show",
                        options={**{size: size for size in SIZES}, "none": "None"},
                    ),
                ),
                _listing(faces, word),
                f"Fill out this form to request the {word} users of this service.",
                listed=node == NODES.get(word, named),
            )


async def count(faces: Faces, word: str, passing: Passing) -> Done:
    """§4.13-§4.17"""
    rows = await faces.give(passing, "counts")
    number = next(number for _, what, number in rows if what == word)
    return shown({f"{word}usersnum": str(number)})


def _listing(faces: Faces, word: str) -> Callable[[Passing, Form], Awaitable[Done]]:
    async def show(passing: Passing, form: Form) -> Done:
        """§4.18-§4.22: cut short where there are more."""
        wanted = forms.text(form, "max_items") or "none"
        most = MOST if wanted == "none" else int(wanted)
        command, only = {
            "registered": ("users", "all"),
            "disabled": ("users", "disabled"),
            "online": ("online", "all"),
        }.get(word, ("online", word))
        # one more than wanted tells whether there are more
        limit = min(most + 1, MOST)
        rows = await faces.give(passing, command, only=only, limit=limit)
        notes = (("info", "There are more."),) if len(rows) > most or len(rows) == MOST else ()
        return shown({WORDS[word]: [row[0] for row in rows[:most]]}, notes)

    return show
