"""Long random work on both sides with an IMAP account, beside other programs."""
