"""Starting, serving and ending processes from the command line."""
