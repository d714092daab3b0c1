"""HTTP/2 and gRPC without I/O: bytes in, calls out, bytes to send. Nothing here imports trio."""
