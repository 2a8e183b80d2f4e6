"""What the client suites stand on: a cloud, a gateway in front of it, people who ask and approve, and clients."""
