"""Tests of the pure IMAP package: no server, no socket, no clock."""
