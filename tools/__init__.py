"""What writes the parts of the documents that are taken from the code; not installed."""
