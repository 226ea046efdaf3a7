"""What a DAG author composes with: the tasks behind a plan, and trigger forms. Imports ``operators``."""
