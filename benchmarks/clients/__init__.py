"""One runner for each client, all with the same interface: see :mod:`benchmarks.clients.runner`."""
