"""The IMAP store: by the contract, on real servers, and on such as should not be."""
