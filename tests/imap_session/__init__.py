"""Tests of sessions: with real servers, and with scripted ones for what no real server does."""
