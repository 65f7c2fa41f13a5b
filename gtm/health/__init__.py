"""Results of probes in, verdicts on endpoints out: the room that judges health, without clock, chance or I/O."""
