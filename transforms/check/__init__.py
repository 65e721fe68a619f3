"""What must add up, and whether an order counts."""
