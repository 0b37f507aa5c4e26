"""How gateways find each other and speak to each other. See README.md."""
