"""Programs of this package on a host where it is not installed: their sources came over standard input.

This file is put in front of a call of ``start``, and the whole is run by a bare ``python3`` (the other end is
``mswatch.watchers.sent``).  Nothing is written to the host.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, List, Mapping, NoReturn, Optional


class Sent(MetaPathFinder, Loader):
    """Imports modules whose sources are at hand."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: Any, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Say that a module comes from here; one that others are inside of is a package."""
        if name not in self._sources:
            return None
        is_package = any(other.startswith(name + ".") for other in self._sources)
        return ModuleSpec(name, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """Have the usual kind of module made."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's source."""
        name = module.__name__
        exec(compile(self._sources[name], name, "exec"), module.__dict__)  # noqa: S102


def start(sources: Mapping[str, str], entry: str, arguments: List[str]) -> NoReturn:
    """Import the module ``entry``, and be its ``main`` with these arguments."""
    sys.meta_path.insert(0, Sent(sources))
    sys.argv = [entry, *arguments]
    __import__(entry)
    sys.exit(sys.modules[entry].main())
