"""What the old mailsync (5.2) was to its users, on today's engine: options, file, names and words.

Everything that only this old program has is in here, so that nothing else has to know of it.  The engine
decides and does; here its questions are translated (``rc``, ``names``, ``selection``, ``msinfo``: pure) and
its answers (``report``: pure).  What the old program did that loses mail is not done: see "THE OLD
PROGRAM" in mailsync(1).
"""
