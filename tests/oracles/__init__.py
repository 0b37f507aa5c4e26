"""Against programs that nobody here wrote, and that are too heavy to install for every test run."""
