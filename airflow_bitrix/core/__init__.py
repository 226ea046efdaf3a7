"""The domain: contact links, methods, plans and rules. Standard library only, no input or output."""
