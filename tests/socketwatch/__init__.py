"""Tests of the shim and of the command socketwatch.

The C programs here (``*.c``) are compiled when they are first needed, in a directory of the session.
"""
