"""Great Expectations: the checks of bronze, silver and gold, and the gate they make."""
