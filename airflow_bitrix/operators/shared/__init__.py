"""What the operators share, and users do not import: artifacts, parameters, the plan maker, row policy."""
