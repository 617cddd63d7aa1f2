"""The systems syncd can talk to, one package each, found by entry point."""
