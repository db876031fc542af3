"""Lets wokkel 18 import on current Twisted. Import it before wokkel; delete it when not needed.

COMPAT(wokkel 18.0.0): it still asks Twisted for names that Twisted has dropped or deprecated.
"""

import sys
import warnings
from importlib import import_module
from operator import methodcaller
from types import ModuleType

import constantly
from twisted.python import compat

_MODULES = (
    "data_form",
    "delay",
    "disco",
    "generic",
    "muc",
    "ping",
    "pubsub",
    "shim",
    "subprotocols",
    "xmppim",
)


def _lend() -> None:
    """Give back the names that wokkel imports, where Twisted no longer has them."""
    if "_PY3" not in vars(compat):
        compat._PY3 = True  # type: ignore[attr-defined]
    try:
        import_module("twisted.python.constants")
    except ModuleNotFoundError:
        constants = ModuleType("twisted.python.constants")
        for name in ("Names", "NamedConstant", "Values", "ValueConstant"):
            setattr(constants, name, getattr(constantly, name))
        sys.modules["twisted.python.constants"] = constants


def import_quietly(name: str) -> ModuleType:
    """Import a module of wokkel, so that its use of deprecated names warns nobody.

    `component` is left to whoever needs it: it installs Twisted's reactor.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = import_module(f"wokkel.{name}")
    # deprecated functions of Twisted that would warn at each call
    for old, method in (("iteritems", "items"), ("itervalues", "values")):
        if old in vars(module):
            setattr(module, old, methodcaller(method))
    return module


_lend()
for _name in _MODULES:
    import_quietly(_name)
