"""The serving folder: whole builds, switched by one rename, and the views over them."""
