"""What the tree needs of the outside world: an interface with two implementations, ``poll`` and ``watch``."""

from typing import Iterable, Optional, Tuple

DIRECTORY = "directory"
FILE = "file"
LINK = "link"


class Eyes:
    """What the tree needs of the outside world.  Paths are absolute; every method may raise OSError."""

    def watch(self, path: str, mask: int) -> int:
        """Watch a path in one of the ways of ``events``; one directory may get one number, or several."""
        raise NotImplementedError

    def watch_name(self, directory: str, name: str) -> int:
        """Watch what a name in a directory means, be it nothing; the event has the name, or is IGNORED."""
        raise NotImplementedError

    def leads_to(self, path: str, wd: int) -> bool:
        """Tell whether a watched directory is still what its path leads to; True where others will tell that.

        A directory that some process keeps open tells nothing of its own removal.
        """
        raise NotImplementedError

    def unwatch(self, wd: int) -> None:
        """Stop watching; a number that is not in use any more is no error."""
        raise NotImplementedError

    def list(self, path: str, files: bool = False) -> Iterable[Tuple[str, str]]:
        """Return (name, DIRECTORY, LINK or, if asked for, FILE) of those entries that are one of these."""
        raise NotImplementedError

    def kind(self, path: str) -> Optional[str]:
        """Return DIRECTORY, LINK, FILE, or None for anything else and for nothing; never raises."""
        raise NotImplementedError

    def link_target(self, path: str) -> Optional[str]:
        """Return where a link points, None if the path is no link."""
        raise NotImplementedError

    def beginning(self, path: str) -> Optional[bytes]:
        """Return the first bytes of a regular file (enough to know an mbox), None if it is none."""
        raise NotImplementedError
