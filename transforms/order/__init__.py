"""One order: what was sold, what was paid, what came back."""
