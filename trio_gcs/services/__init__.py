"""One file per gRPC service: unpack, ask the manager, pack. No decision is made here."""
