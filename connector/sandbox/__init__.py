"""A stand-in Clover with its own shop and its own books. Imports nothing of the connector."""

from connector.sandbox.limits import RateLimits
from connector.sandbox.model import Customer, Item
from connector.sandbox.records import Merchant
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shapes import PLAIN, Shapes
from connector.sandbox.world import World

__all__ = ["PLAIN", "Customer", "Item", "Merchant", "RateLimits", "Sandbox", "Shapes", "World"]
