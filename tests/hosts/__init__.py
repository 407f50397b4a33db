"""Tests on whole Debian systems, booted by systemd-nspawn: the packages, and the service as it is used."""
