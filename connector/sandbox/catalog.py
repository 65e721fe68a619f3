"""Invented goods and people for a generated shop; e-mail addresses are under example.com."""

PRODUCTS: tuple[tuple[str, int], ...] = (
    ("Beeswax candle", 1200),
    ("Linen apron", 3450),
    ("Walnut board", 5200),
    ("Teapot", 4100),
    ("Strainer", 650),
    ("Dinner kit", 3000),
    ("Gift basket", 2600),
    ("Wool throw", 9200),
    ("Desk lamp", 4000),
    ("Scone", 350),
    ("Tea, loose", 1275),
    ("Café crème tasse", 1899),
    ("Jalapeño honey", 1150),
    ("Brötchen-Korb", 2795),
    ("抹茶茶碗", 6800),
    ("Пряник", 475),
    ("Crème brûlée torch 🔥", 3999),
    ('9" skillet "Heritage"', 5450),
    ("Soap & dish", 895),
    ("Print, 50 x 70 cm, n° 7", 7500),
    ("Olive oil 1 L", 2290),
    ("Sea salt", 425),
    ("Cutting fee", 199),
    ("Picnic blanket", 5875),
)
"""Name and unit price in cents."""

UNTAXED = frozenset({"Scone", "Tea, loose", "Sea salt", "Olive oil 1 L", "Пряник"})
"""Groceries, which are sold without sales tax."""

FIRST_NAMES: tuple[str | None, ...] = (
    "Ines",
    "Tunde",
    "Dana",
    "Sam",
    "Mira",
    "Jürgen",
    "Zoë",
    "Đorđe",
    "Siobhán",
    "美咲",
    "Ola",
    None,
)
LAST_NAMES: tuple[str | None, ...] = (
    "Moreau",
    "Okafor",
    "Li",
    "Ortiz",
    "O'Neill",
    "Müller-Lüdenscheidt",
    "Nguyễn",
    "佐藤",
    "Rowe",
    "Øberg",
    None,
)
COUPONS = ("AUTUMN10", "WELCOME", "Loyalty ♥", "Staff")
RATES = (625_000, 825_000, 700_000, 1_025_000)
"""Sales tax, percent x 100 000."""
