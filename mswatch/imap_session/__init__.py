"""Sessions with IMAP servers: the thin shell around the pure package ``mswatch.imap``.

    settings.py     how a server is reached and who we are there
    credentials.py  where a password or token comes from, anew at each login
    resolving.py    the addresses of a host, within a time
    link.py         bytes to and from a server: socket, TLS, or a command; every wait has an end
    pins.py         what a certificate is known by
    session.py      commands and events over a link; counts the times it waited for the server
    login.py        from nothing to a session that is logged in

Nothing here tries again: what failed is told, with what to do, and the caller knows when to come back.  So
nobody is hammered with a wrong password.
"""
