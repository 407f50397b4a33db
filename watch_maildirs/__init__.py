"""watch_maildirs: tell which mailboxes of a Maildir tree change; inputkill: run a command until stdin ends.

This package runs alone on a mail server, which may be old: Python 3.6, the standard library and
inotify_simple (imported in ``watch`` only, and done without when it is missing).  It never imports mswatch,
has no data files and does nothing on import, so that its sources can be sent to a bare ``python3`` over
ssh.

How it is cut: ``naming`` and ``tree`` decide and ``outbox`` and ``protocol`` word the answer, all without
I/O; ``poll`` and ``watch`` are two pairs of eyes for the tree, ``loop`` moves bytes, ``cli`` and
``inputkill`` are the two commands.
"""

__version__ = "2.0.dev0"
