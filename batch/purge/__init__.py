"""Removes a conversation, or a project, from all that was made of it, and looks whether it is gone."""
