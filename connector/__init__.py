"""Clover Ecommerce to Codat's commerce schema: extract, map, load, serve."""
