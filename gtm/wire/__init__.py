"""DNS on the wire: records' text, the compiled answer table, and packets in, packets out (RFC 1035, 6891, 7871)."""
