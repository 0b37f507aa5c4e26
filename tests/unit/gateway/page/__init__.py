"""The operator's page, module by module."""
