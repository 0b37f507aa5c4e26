"""The commands of `llmx`, one module each; `gateway.cli` puts them together."""
