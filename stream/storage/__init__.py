"""Where what lands is kept: a folder, or an object store."""
