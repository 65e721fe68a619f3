"""Tax components: the taxes that lines of orders name. A component without a known rate is told by its lines alone."""

from decimal import Decimal
from functools import lru_cache

from schemas.clover import Order
from schemas.commerce import TaxComponent
from schemas.money import shortest
from transforms.model import OrderGroup
from transforms.order.items import taxes_of


def tax_components_of(group: OrderGroup | Order) -> list[TaxComponent]:
    """Every tax with a rate, each once, in the order of their ids. The rate is a fraction: 0.0825 for 8.25 percent."""
    order = group.order if isinstance(group, OrderGroup) else group
    found: dict[str, TaxComponent] = {}
    for item in order.items if order is not None else ():
        for tax in taxes_of(item.tax_rates):
            if tax.rate is not None:
                found[tax.component.id] = _component(tax.component.id, tax.component.name, tax.rate)
    return [found[name] for name in sorted(found)]


@lru_cache(maxsize=1_024)
def _component(identity: str, name: str, rate: int) -> TaxComponent:
    return TaxComponent(id=identity, name=name, rate=shortest(Decimal(rate).scaleb(-7)), is_compound=False)
