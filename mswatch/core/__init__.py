"""Every decision of the service, without I/O.

Events with a time go in, effects come out (``engine``).  Nothing here reads a clock, a file, a socket or the
environment, and nothing here imports asyncio: that is what makes each decision testable to the microsecond
and each bug report replayable (``transcript``).
"""
