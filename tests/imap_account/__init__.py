"""An IMAP account as a whole: several connections, what is subscribed, what mailboxes are for."""
