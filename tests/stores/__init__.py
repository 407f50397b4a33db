"""The stores on disk: by the contract, and each by itself."""
