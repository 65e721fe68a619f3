"""What people take away from the published file: the data dictionary, files of the views, one-page reports.

Reads the views only, through the store's door; knows nothing of Clover and changes nothing.
"""
