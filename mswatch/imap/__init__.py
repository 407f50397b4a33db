"""The IMAP client protocol without sockets: bytes in, typed events out, typed commands in, bytes out.

Nothing here reads, writes, waits or looks at a clock, so that the same code serves the syncer and the
watcher, and a transcript is a test.  From the wire to the user of this package:

    bytes -> framing.py (where does a response end)  -> parsing.py (what does it say) -> responses.py
    bytes <- commands.py (what is asked)             <- connection.py (what may be asked now)

The one public object is ``connection.Connection``.  A server is never believed: what it sends is bounded in
memory (``framing``), in depth and in numbers (``parsing``), and everything that breaks the protocol ends in
``errors.ProtocolError`` and no other exception.
"""
