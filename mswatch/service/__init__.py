"""The service of one account: where the engine, the programs it starts and the control socket meet.

``coordinator`` feeds the engine and carries out its effects; ``watching`` is one watcher's process,
``running`` one run's; ``status`` says how things stand.  All of it lives on one event loop, in one thread.
"""
