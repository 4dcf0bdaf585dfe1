"""MongoDB's side: client, change stream, oplog, and the snapshot that replaces lost history."""
