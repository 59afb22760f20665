"""The command `mechanostat`."""
