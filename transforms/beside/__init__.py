"""The records beside orders: customers, products, payment methods, tax components, locations."""
