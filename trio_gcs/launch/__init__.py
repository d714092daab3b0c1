"""What stands between a command line and the daemon: flags, files, ports, tokens, logs and how failures are told."""
