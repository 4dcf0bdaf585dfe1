"""Proves that the warehouse holds what the collection holds: piece by piece, each at one cluster time."""
