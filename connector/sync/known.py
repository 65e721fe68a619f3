"""What earlier runs stored of one connection, read from the published snapshot.

The run holds the connection's lock and the snapshot was repaired before, so nothing newer exists anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from connector.store import reads
from connector.store.interface import Reader
from connector.sync.staging import CHARGE, Staging
from transforms.model import PreviousVersion
