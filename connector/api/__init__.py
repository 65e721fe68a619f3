"""The read API: Codat's paths, bodies, query language and errors over the published snapshot."""
