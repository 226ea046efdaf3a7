"""What people read of a run: the report, the approval. Imports ``files`` and ``core``."""
