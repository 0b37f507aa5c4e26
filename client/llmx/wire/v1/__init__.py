"""Generated from proto/llmx/wire/v1 by `make proto`."""
