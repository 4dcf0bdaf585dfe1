"""One file per command: its docstring is the command's help, `command` what is run.

A file is imported when its command is called, so it imports at its top whatever the command needs.
"""
