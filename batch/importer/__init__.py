"""Claude Code logs → MongoDB, each line once."""
