"""What keeps files few: merges of landed files, retention, and what no model asks for any more."""
