"""mswatch keeps two mail stores in step in real time.

The decisions of the service are in ``core`` (pure), the carrying out in ``service``; docs/internals.md tells
the whole.
"""

__version__ = "2.0.dev0"
