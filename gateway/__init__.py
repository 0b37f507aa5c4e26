"""One process that admits, routes and decides what agents say to each other. See README.md."""
