"""The domain: contact links, methods, plans, rules; no I/O. Imports the standard library alone."""
