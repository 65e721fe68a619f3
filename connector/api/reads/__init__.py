"""The read API's questions to the published file."""
