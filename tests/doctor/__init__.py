"""The doctor, against nameservers with planted faults."""
