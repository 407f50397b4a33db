"""The watched tree: what to watch, what an event means, which changes come out.  No I/O but through its eyes.

What is known of a directory is a Folder; what each watch is for stands in the table of Roles.

The rule that keeps it right: **a name is watched before it is looked up.**  A folder's entries are watched
before they are listed, the way to the base and behind a link before it is walked.  So whatever happens
between two looks leaves an event, and an event only ever says "look here again": what was known there is
forgotten, and what is there now is entered anew. Where many events are missed (queue overflow) or the base
itself moves, everything is looked at again, and told as changed.
"""

from typing import Dict, Iterable, List, Optional, Set, Tuple

from watch_maildirs import events as ev
from watch_maildirs.eyes import FILE, LINK, Eyes
from watch_maildirs.naming import (
    MAILDIR_PLUS_PLUS,
    MAILDIRS,
    MBOX,
    MBOX_BEGINS,
    MH,
    NO_FLAGS,
    PARTS,
    holds_folders,
    is_message,
    may_be_folder,
)
from watch_maildirs.protocol import ALL, CONTENT, GONE, MADE, NOTE, TAKEN, WRITTEN, Change
from watch_maildirs.roles import ALL_USES, IN_FILE, IN_FOLDER, IN_PART, NAME, STEP, Folder, Roles

_MOST_LINKS = 40  # as the kernel, path_resolution(7)

# What to look at again in a folder, beside the name of an entry.
_ITSELF = ""
_LISTING = "/"
_PLACE = "//"  # whether it is still where it was
_BEGINNING = "///"  # whether the file is an mbox


class Tree:
    """A tree of mailboxes seen through a pair of eyes."""

    def __init__(self, eyes: Eyes, base: str, layout: str, inbox: str = "") -> None:
        """Nothing is looked at before ``start``.

        Args:
            eyes: how to look.
            base: absolute path of the store; it need not exist.
            layout: one of ``naming.LAYOUTS``.
            inbox: absolute path of an mbox that is the INBOX of this store, but lies elsewhere.
        """
        self._eyes = eyes
        self._way = base
        self._inbox = inbox
        self._layout = layout
        self._parts = PARTS if layout in MAILDIRS else ()
        self._reset()

    def _reset(self) -> None:
        self._roles = Roles(self._eyes)
        self._holders: Dict[str, int] = {}  # mailbox: how many folders have this name
        self._changes: List[Change] = []
        self._again: Dict[Tuple[Folder, str], None] = {}  # what to look at again, in order
        self._missed = False  # everything has to be looked at again
        self._base = self._root(self._way)
        self._roots = [self._base, self._root(self._inbox)] if self._inbox else [self._base]

    def _root(self, way: str) -> Folder:
        root = Folder(self._layout, None, (), "")
        root.way = way
        return root

    def mailboxes(self) -> Tuple[str, ...]:
        """Return the names of all mailboxes that are there."""
        return tuple(sorted(self._holders))

    def start(self) -> List[Change]:
        """Look at everything for the first time; only notes come out."""
        self._enter_all(list(self._roots))
        while self._missed:
            self._reset()
            self._enter_all(list(self._roots))
        self._note_base()
        return [change for change in self._take() if change.kind == NOTE]

    def look_again(self) -> List[Change]:
        """Look at everything anew, and tell that any mailbox may have changed."""
        known, roles, was_there = set(self._holders), self._roles, self._base.there
        roles.end_way()
        self._reset()
        changes = self.start()
        roles.end_unless_in(self._roles)
        known.update(self._holders)
        if known or was_there != self._base.there:
            changes.append(Change(ALL, mailboxes=tuple(sorted(known))))
        elif not self._base.there:
            return []  # it is still being waited for, which was said
        return changes

    def handle(self, events: Iterable[Tuple[int, int, int, str]]) -> List[Change]:
        """Return the changes that events stand for, after looking again wherever they say so."""
        events = list(events)
        taken = self._taken(events)
        created = {(wd, name) for wd, mask, _, name in events if mask & ev.CREATE}
        for wd, mask, cookie, name in events:
            if mask & ev.Q_OVERFLOW:
                self._missed = True
            for folder, use, own in self._roles.of(wd):
                if use == IN_PART and mask & ev.CHILD:
                    kind = TAKEN if cookie in taken else CONTENT
                    if kind == CONTENT or mask & ev.MOVED_TO:
                        file = own + "/" + name if name else ""
                        self._changes.append(Change(kind, folder.mailbox, file))
                elif use == IN_PART and mask & ev.CLOSE_WRITE:
                    # What was created just now is told as it is now: it cannot have been looked at before.
                    if (wd, name) not in created and not name.startswith("."):
                        self._changes.append(Change(WRITTEN, folder.mailbox, own + "/" + name))
                elif use == IN_FILE:
                    self._judge_file(folder, mask)
                else:
                    self._judge(folder, use, own, mask, name)
        again, self._again = self._again, {}
        if self._missed or any((root, _ITSELF) in again for root in self._roots):
            return self.look_again()
        for folder, name in again:
            if not folder.forgotten:
                self._look_at(folder, name)
        return self.look_again() if self._missed else self._take()

    def _taken(self, events: List[Tuple[int, int, int, str]]) -> Set[int]:
        """Return the cookies of renames from new to cur that give a message no flag."""
        begun: Dict[int, Tuple[int, str]] = {}
        taken = set()
        for wd, mask, cookie, name in events:
            if mask & ev.MOVED_FROM:
                begun[cookie] = (wd, name)
            elif mask & ev.MOVED_TO and cookie in begun:
                came_from, before = begun[cookie]
                sides = self._plays(came_from, "new"), self._plays(wd, "cur")
                if name == before + NO_FLAGS and sides[0] and sides[0] == sides[1]:
                    taken.add(cookie)
        return taken

    def _plays(self, wd: int, part: str) -> Set[int]:
        """Return the folders of which this watch is that part and nothing else; none if it is more."""
        roles = self._roles.of(wd)
        return {id(folder) for folder, _, own in roles} if all(own == part for _, _, own in roles) else set()

    def _take(self) -> List[Change]:
        changes, self._changes = self._changes, []
        return changes

    # What an event means.

    def _judge(self, folder: Folder, use: int, own: str, mask: int, name: str) -> None:
        if use == IN_FOLDER and not mask & ev.LOST:
            self._judge_entry(folder, mask, name)
        elif (
            mask & ev.LOST
            or (use == STEP and mask & ev.MOVED)
            or (use == NAME and mask & (ev.CHILD | ev.ATTRIB) and name == own)
        ):
            self._again[folder, own if use == IN_PART else _ITSELF] = None

    def _judge_file(self, folder: Folder, mask: int) -> None:
        if mask & ev.MODIFY:
            self._changes.append(Change(CONTENT, folder.mailbox))
            if folder.is_empty:
                self._again[folder, _BEGINNING] = None
        if mask & ev.LOST:
            self._again[folder, _ITSELF] = None
        elif mask & (ev.ATTRIB | ev.MOVED):  # that it was unlinked, or just that somebody read it
            self._again[folder, _PLACE] = None

    def _judge_entry(self, folder: Folder, mask: int, name: str) -> None:
        if not name:
            if mask & ev.CHILD:
                self._again[folder, _LISTING] = None
        elif self._layout == MH and is_message(name):
            if folder.complete and mask & (ev.CHILD | ev.MODIFY):
                self._changes.append(Change(CONTENT, folder.mailbox, name))
        elif name in self._parts:
            if mask & ev.CHILD or not folder.complete:
                self._again[folder, name] = None
        elif may_be_folder(self._layout, (*folder.entries, name)):
            child = folder.children.get(name)
            if mask & ev.CHILD or (child is not None and child.blocked):
                self._again[folder, name] = None

    # Looking again.

    def _look_at(self, folder: Folder, name: str) -> None:
        if name == _LISTING:
            self._relist(folder)
        elif name == _PLACE:
            self._look_at_place(folder)
        elif name == _BEGINNING:
            self._look_at_beginning(folder)
        elif name in self._parts:
            self._look_at_parts(folder)
            self._enter_all(self._secure_way(folder))
        elif name:
            self._replace(folder, name)
        elif folder.parent is not None:
            self._replace(folder.parent, folder.entries[-1])

    def _look_at_place(self, folder: Folder) -> None:
        if folder.watch is None or self._eyes.leads_to(folder.path, folder.watch):
            return
        if folder.parent is None:
            self._missed = True
        else:
            self._replace(folder.parent, folder.entries[-1])

    def _replace(self, folder: Folder, name: str) -> None:
        known = folder.children.pop(name, None)
        if known is not None:
            self._forget(known)
        kind = self._eyes.kind(_join(folder.path, name))
        if kind is not None:
            self._enter_all(self._new_children(folder, [(name, kind)]))
        self._enter_all(self._secure_way(folder))

    def _relist(self, folder: Folder) -> None:
        """Find out what changed in a folder of which no more is known than that its entries did."""
        if self._layout == MH and folder.complete:
            self._changes.append(Change(CONTENT, folder.mailbox))
        if not (folder.complete and all(self._eyes.kind(_join(folder.path, part)) for part in self._parts)):
            self._look_at_parts(folder)
        names = {name for name, _ in self._list(folder)}
        for name in sorted(names ^ set(folder.children)):
            self._replace(folder, name)

    def _forget(self, top: Folder) -> None:
        todo = [top]
        while todo:
            folder = todo.pop()
            todo += folder.children.values()
            if folder.complete:
                self._tell_gone(folder)
            self._roles.drop(folder, ALL_USES)
            folder.forgotten = True

    # Entering what is there.

    def _enter_all(self, folders: List[Folder]) -> None:
        while folders:
            folder = folders.pop()
            if folder.way:
                self._find(folder, closely=False)
            else:
                self._look_into(folder)
            folders += self._new_children(folder, self._list(folder))
            folders += self._secure_way(folder)

    def _new_children(self, folder: Folder, listed: Iterable[Tuple[str, str]]) -> List[Folder]:
        made = []
        for name, kind in listed:
            if kind == FILE and self._layout != MBOX:
                continue
            if name not in folder.children and may_be_folder(self._layout, (*folder.entries, name)):
                child = Folder(self._layout, folder, (*folder.entries, name), _join(folder.path, name))
                if kind == LINK:
                    child.way = child.path
                folder.children[name] = child
                made.append(child)
        return made

    def _list(self, folder: Folder) -> List[Tuple[str, str]]:
        """Return the (name, kind) of what may be folders in a folder."""
        if not folder.there or not holds_folders(self._layout, folder.entries) or folder.is_loop():
            return []
        if self._layout == MBOX and folder.complete:  # a file
            return []
        try:
            listed = self._eyes.list(folder.path, self._layout == MBOX)
        except OSError as error:
            self._block(folder, folder.path, error)
            return []
        return [entry for entry in listed if may_be_folder(self._layout, (*folder.entries, entry[0]))]

    def _find(self, folder: Folder, closely: bool) -> None:
        path = self._follow(folder, folder.way, closely)
        if path is not None:
            folder.path = path
            self._look_into(folder)

    def _secure_way(self, folder: Folder) -> List[Folder]:
        """Make sure, after a look at a base or behind a link, that what stands there later will be noticed.

        It is enough to watch whether each directory on the way stays where it is, and nothing wakes us when a
        busy home directory changes, but for two things.  What is missing can only be seen by its name, so
        that each name on the way is watched; returned is what was found after all.  And a directory that
        some process keeps open tells nothing of its own removal: only what was in it does, and only to those
        who watched it and not its successor, in which the last look may have been.
        """
        if not folder.way:
            return []
        if not folder.complete and not folder.children:
            self._find(folder, closely=True)
            return self._new_children(folder, self._list(folder))
        if folder.watch is not None and not self._eyes.leads_to(folder.path, folder.watch):
            self._missed = True
        return []

    def _look_into(self, folder: Folder) -> None:
        if self._layout == MBOX and self._eyes.kind(folder.path) == FILE:
            self._look_into_file(folder)
            return
        entries = ev.WATCH_MESSAGES if self._layout == MH else ev.WATCH_ENTRIES
        folder.watch = self._watch(folder, folder.path, entries, IN_FOLDER, "")
        if folder.there:
            self._look_at_parts(folder)

    def _look_into_file(self, folder: Folder) -> None:
        folder.watch = self._watch(folder, folder.path, ev.WATCH_FILE, IN_FILE, "")
        if folder.there:
            self._look_at_beginning(folder)

    def _look_at_beginning(self, folder: Folder) -> None:
        """Find out whether a file is an mbox; once something was written, that does not change."""
        try:
            beginning = self._eyes.beginning(folder.path)
        except OSError as error:
            self._block(folder, folder.path, error)
            beginning = None
        folder.is_empty = beginning is not None and len(beginning) < len(MBOX_BEGINS)
        is_mbox = beginning is not None and MBOX_BEGINS.startswith(beginning)
        if is_mbox and not folder.complete:
            self._tell_made(folder)
        if not is_mbox:
            if folder.complete:
                self._tell_gone(folder)
            self._roles.drop(folder, (IN_FILE,))
            folder.watch = None

    def _look_at_parts(self, folder: Folder) -> None:
        """Watch cur and new; a folder is a mailbox while it has both, and is silent until then."""
        if not self._parts:
            if self._layout == MH and folder.entries and not folder.complete:
                self._tell_made(folder)
            return
        known = self._roles.parts_of(folder) if folder.complete else set()
        found: Set[Tuple[int, str]] = set()
        for part in PARTS:
            wd = self._watch_part(folder, part)
            if wd is None:
                found.clear()
                break
            found.add((wd, part))
        if found and found == known:
            return
        if folder.complete:
            self._tell_gone(folder)
        if known or not found:
            self._roles.drop(folder, (IN_PART,), found)
        if found:
            self._tell_made(folder)

    def _watch_part(self, folder: Folder, part: str) -> Optional[int]:
        path = _join(folder.path, part)
        try:
            return self._roles.add(self._eyes.watch(path, ev.WATCH_CONTENT), (folder, IN_PART, part))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            behind = self._follow(folder, path, closely=True)
            return None if behind is None else self._watch(folder, behind, ev.WATCH_CONTENT, IN_PART, part)
        except OSError as error:
            self._block(folder, path, error)
            return None

    # The way to a directory.

    def _follow(self, folder: Folder, path: str, closely: bool) -> Optional[str]:
        """Watch all that a path leads through; return it with links resolved, None where it leads nowhere."""
        here, links, steps = "/", 0, _steps(path)
        while steps:
            name = steps.pop()
            if name == "..":
                here = here.rpartition("/")[0] or "/"
                continue
            step = _join(here, name)
            try:
                target = self._take_step(folder, here, name, closely)
            except OSError as error:
                if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                    self._watch_status(folder, step)
                return None
            if target is None:
                here = step
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            if target.startswith("/"):
                here = "/"
            steps += _steps(target)
        return here

    def _take_step(self, folder: Folder, here: str, name: str, closely: bool) -> Optional[str]:
        step = _join(here, name)
        if closely:
            self._roles.add(self._eyes.watch_name(here, name), (folder, NAME, name))
        try:
            self._roles.add(self._eyes.watch(step, ev.WATCH_SELF), (folder, STEP, ""))
        except PermissionError:  # it may be walked through, but not read: its name tells nearly as much
            self._roles.add(self._eyes.watch_name(here, name), (folder, NAME, name))
        return self._eyes.link_target(step)

    def _watch_status(self, folder: Folder, path: str) -> None:
        self._roles.add(self._eyes.watch(path, ev.WATCH_STATUS), (folder, STEP, ""))

    # Watches and the roles they play.

    def _watch(self, folder: Folder, path: str, mask: int, use: int, own: str) -> Optional[int]:
        try:
            return self._roles.add(self._eyes.watch(path, mask), (folder, use, own))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._block(folder, path, error)
            return None

    # What is told.

    def _tell_made(self, folder: Folder) -> None:
        folder.complete = True
        holders = self._holders.get(folder.mailbox, 0) + 1
        self._holders[folder.mailbox] = holders
        self._changes.append(Change(MADE, folder.mailbox))
        if holders > 1:
            self._note(
                'two directories are the mailbox "{}", the base and "{}": changes of both are told under '
                "that one name; rename one of them".format(folder.mailbox, folder.path)
            )

    def _tell_gone(self, folder: Folder) -> None:
        folder.complete = False
        self._holders[folder.mailbox] -= 1
        if self._holders[folder.mailbox]:
            self._changes.append(Change(CONTENT, folder.mailbox))
            return
        del self._holders[folder.mailbox]
        self._changes.append(Change(GONE, folder.mailbox))

    def _block(self, folder: Folder, path: str, error: OSError) -> None:
        folder.blocked = True
        self._note(
            'cannot watch "{}": {}; it is looked at again once its mode is mended (chmod u+rx)'.format(
                path, error.strerror
            )
        )
        self._watch_status(folder, path)

    def _note_base(self) -> None:
        what = '"{}"' if self._layout == MBOX else 'directory "{}"'
        for root in self._roots:
            if not root.there:
                self._note("there is no {} that can be read; waiting for it".format(what.format(root.way)))
        if not self._base.there:
            return
        if not self._base.complete and self._layout == MAILDIR_PLUS_PLUS:
            self._note('"{}" has no cur and new, so it is no Maildir; waiting for them'.format(self._way))

    def _note(self, text: str) -> None:
        change = Change(NOTE, "", text)
        if change not in self._changes:
            self._changes.append(change)


def _join(path: str, name: str) -> str:
    return path + "/" + name if path != "/" else "/" + name


def _steps(path: str) -> List[str]:
    """Return the names in a path, the first one last; empty ones and "." lead nowhere."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
