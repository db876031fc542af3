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
    "component",
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


def _import_quietly() -> None:
    """Import wokkel once, so that its use of deprecated names warns nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        modules = [import_module(f"wokkel.{name}") for name in _MODULES]
    for module in modules:
        # deprecated functions of Twisted that would warn at each call
        for name, method in (("iteritems", "items"), ("itervalues", "values")):
            if name in vars(module):
                setattr(module, name, methodcaller(method))


_lend()
_import_quietly()
