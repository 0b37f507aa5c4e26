"""`python -m loadtest.experiments run table1`: the same as `llmx experiment run table1`."""

from loadtest.experiments.command import app

if __name__ == "__main__":
    app(prog_name="python -m loadtest.experiments")
