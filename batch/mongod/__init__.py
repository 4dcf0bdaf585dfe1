"""The embedded development MongoDB: a real mongod as a replica set of one."""
