"""The client library: `open_client` on Trio, `GlobalState` for scripts. See docs/client.md."""
