"""The report of an apply: an HTML page for people, a Markdown summary for logs."""
