"""How a syncer is called for some mailboxes, for all, and for a trial.  Pure: nothing is started here.

A mailbox name comes from outside.  The rule that must hold: a call names exactly the mailboxes it was
made for, or it is a call for all of them; a name can become neither an option nor a second mailbox.

The end of a call is read by its exit status alone: 0 is success, everything else a failure.  No finer
distinction holds for all syncers; mbsync 1.5 tells more only when asked to, and the old interface knows
nothing else.
"""

from mswatch.syncers.plan import Plan, plan, probe

__all__ = ["Plan", "plan", "probe"]
