"""gRPC on Trio: the server, the gate that every call passes, and the channels to raylets and workers."""
