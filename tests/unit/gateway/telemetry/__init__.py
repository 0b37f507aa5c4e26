"""What an operator sees beside logs."""
