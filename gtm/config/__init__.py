"""YAML text in; a Snapshot, or all that is wrong with it, out."""
