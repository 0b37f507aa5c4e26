"""What LLM-X promises, as sentences. See README.md."""
