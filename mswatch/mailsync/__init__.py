"""mailsync, the built-in synchroniser: two stores of mail brought into step, message by message.

The words are near and far for the two stores and base for what they last agreed on.  ``decide``,
``mailboxes``, ``pairing`` and ``safety`` are pure: they say what is to be done.  ``state`` remembers,
``stores`` read and write mail behind one contract, ``engine`` carries the decisions out.  Nothing in this
package knows of accounts, configuration or the service; ``mswatch.mailsync_command`` does.

No asyncio: a run is one thing after the other, and starting it must cost less than a look at a mailbox.
"""
