"""Real servers and synchronisers for the tests, run by an ordinary user on loopback.

Everything here is ended by process id and with a deadline, and keeps its log where a failing test shows it.
Nothing is imitated: a test that wants a mail server gets Dovecot, one that wants a synchroniser gets mbsync.
"""
