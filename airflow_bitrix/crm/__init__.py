"""Reading the CRM: scans, owners, contacts, stages, users. Imports ``client`` and ``core``."""
