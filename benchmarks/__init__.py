"""What is measured, and how: each module prints its figures and ends with 1 when a promise is broken."""
