"""Runs of mailsync with an IMAP account on a side."""
