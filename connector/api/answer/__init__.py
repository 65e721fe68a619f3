"""What answers are made of: bodies, errors, pages, headers, examples."""
