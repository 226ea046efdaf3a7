"""A Bitrix24 REST client of its own: wire, flow, pacing, batches, lists. Imports ``core`` for errors."""
