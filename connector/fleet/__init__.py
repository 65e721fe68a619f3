"""One truth on many hosts: each company's own store, published whole to a bucket, pointed at by a row in PostgreSQL."""
