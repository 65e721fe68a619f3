"""The portal: pages for the people who run the connector and for those who lend on what it says.

It asks what the API asks, with the same keys, scopes, limits and access log, and shows what the views say.
"""
