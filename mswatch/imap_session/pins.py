"""What a certificate is known by: SHA-256 of all of it, or of its public key alone, which outlives a renewal.

The key (SubjectPublicKeyInfo, RFC 5280, 4.1) is found by walking over the DER of the certificate; the
standard library has no parser for it, and seven steps need none.
"""

from __future__ import annotations

import hashlib

_VERSION = 0xA0  # the optional [0] in front
_BEFORE_KEY = 5  # serialNumber, signature, issuer, validity, subject


def fingerprints(certificate: bytes) -> tuple[str, ...]:
    """Return what a certificate in DER may be pinned by, in hex: itself, and its key if it can be found."""
    whole = hashlib.sha256(certificate).hexdigest()
    try:
        return whole, hashlib.sha256(public_key(certificate)).hexdigest()
    except (ValueError, IndexError):
        return (whole,)


def public_key(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate, both in DER."""
    begin, _ = _contents(certificate, 0)  # Certificate
    begin, _ = _contents(certificate, begin)  # TBSCertificate
    if certificate[begin] == _VERSION:
        begin = _contents(certificate, begin)[1]
    for _ in range(_BEFORE_KEY):
        begin = _contents(certificate, begin)[1]
    return certificate[begin : _contents(certificate, begin)[1]]


def normal(pin: str) -> str:
    """Return a pin as ``fingerprints`` writes it: ``AA:BB`` and ``aabb`` are the same."""
    return pin.replace(":", "").lower()


def _contents(data: bytes, begin: int) -> tuple[int, int]:
    """Return where the contents of the element at ``begin`` begin, and where the element ends."""
    length = data[begin + 1]
    start = begin + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    end = start + length
    if end > len(data):
        raise ValueError("the certificate is cut")
    return start, end
