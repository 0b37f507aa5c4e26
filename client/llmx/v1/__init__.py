"""The wire of LLM-X, generated from proto/llmx/v1 by `make proto`."""
