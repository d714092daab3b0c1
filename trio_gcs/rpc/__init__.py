"""gRPC on Trio: the server, the client, and the peers that we call."""
