"""Events in, what people are to be told out: nothing here reads a clock or sends anything (house section 3)."""
