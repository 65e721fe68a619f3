"""Our response models beside Codat's published ones, as their clients carry them: names, what is required, enums."""

import msgspec
import pytest
from codat_lending.models import shared as lending
from codat_platform.models import shared as platform

from schemas import commerce, commerce_enums
from schemas import platform as ours

# What Codat sends beyond its schema (its published example payloads carry it), and what only its schema knows.
WIRE_ONLY = {
    "Payment": {"type"},
    "Product": {
        "productCategoryRefs",
        "status",
        "createdDate",
        "modifiedDate",
        "sourceModifiedDate",
        "supplementalData",
    },
    "Customer": {"supplementalData"},
    "Location": {"supplementalData"},
}
NEVER_SENT = {
    "Company": {"ownerUserIds", "platform"},
    "Connection": {"connectionInfo"},
    "Transaction": {"sourceCreatedDate", "supplementalData"},
    "Customer": {"supplementalData"},
    "Location": {"supplementalData"},
    "Product": {"supplementalData"},
}


def wire_names(model):
    if issubclass(model, msgspec.Struct):
        return {field.encode_name for field in msgspec.structs.fields(model)}
    return {field.alias or name for name, field in model.model_fields.items()} - {"additional_properties"}


PAIRS = [
    (ours.Company, platform.Company),
    (ours.Connection, platform.Connection),
    (ours.DataConnectionError, platform.DataConnectionError),
    (ours.DataStatus, platform.DataStatus),
    (ours.PullOperation, platform.PullOperation),
    (ours.Links, platform.Links),
    (ours.ErrorMessage, platform.ErrorMessage),
    (commerce.Order, lending.CommerceOrder),
    (commerce.Customer, lending.CommerceCustomer),
    (commerce.Location, lending.CommerceLocation),
    (commerce.Product, lending.CommerceProduct),
    (commerce.Payment, lending.CommercePayment),
    (commerce.Transaction, lending.CommerceTransaction),
]


@pytest.mark.parametrize(("mine", "codats"), PAIRS, ids=lambda m: m.__name__)
def test_members_have_codats_names(mine, codats):
    name = mine.__name__
    assert wire_names(mine) - wire_names(codats) <= WIRE_ONLY.get(name, set())
    assert wire_names(codats) - wire_names(mine) <= NEVER_SENT.get(name, set())


def always_written(model):
    """Names of the members that have to be given, and of the arrays that are written empty."""
    if issubclass(model, msgspec.Struct):
        return {f.encode_name for f in msgspec.structs.fields(model) if f.default is msgspec.NODEFAULT}
    return {
        field.alias or name
        for name, field in model.model_fields.items()
        if field.is_required() or field.default_factory is not None
    }


@pytest.mark.parametrize(("mine", "codats"), PAIRS, ids=lambda m: m.__name__)
def test_what_codats_clients_require_is_never_missing_here(mine, codats):
    required = {field.alias or name for name, field in codats.model_fields.items() if field.is_required()}
    assert required <= always_written(mine)


def values(kind):
    return {member.value for member in kind}


ENUMS = [
    (ours.ConnectionStatus, platform.DataConnectionStatus),
    (ours.SourceType, platform.SourceType),
    (ours.DatasetStatus, platform.Status),
    (commerce_enums.PaymentStatus, lending.PaymentStatus),
    (commerce_enums.PaymentType, lending.PaymentType),
    (commerce_enums.AddressType, lending.CommerceAddressType),
]


@pytest.mark.parametrize(("mine", "codats"), ENUMS, ids=lambda e: e.__name__)
def test_enums_are_closed_and_spelt_as_codat_spells_them(mine, codats):
    assert values(mine) == values(codats)


def test_every_data_type_of_ours_is_one_of_codats():
    assert values(ours.DataType) <= values(
        platform.SchemaDataType if hasattr(platform, "SchemaDataType") else platform.DataType
    )


def test_no_model_of_ours_lets_an_unknown_member_out():
    for model, _ in PAIRS:
        if issubclass(model, msgspec.Struct):
            assert model.__struct_config__.forbid_unknown_fields
        else:
            assert model.model_config["extra"] == "forbid"
