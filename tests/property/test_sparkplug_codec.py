"""Laws of the Sparkplug codec: what is written is read back, parts concatenate, and no bytes do harm."""

import contextlib
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.sparkplug.codec import (
    TIMESTAMP_MS_MAX,
    DataSet,
    MetaData,
    Metric,
    Parameter,
    Payload,
    PayloadError,
    PropertyValue,
    Template,
    decode,
    encode,
    encode_header,
    encode_metrics,
    mark_historical,
)
from contract.sparkplug.datatypes import ARRAY_DTYPE, FIELD, INTEGER_BITS, DataType
from contract.sparkplug.sparkplug_b_pb2 import Payload as Wire

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
timestamps = st.integers(0, TIMESTAMP_MS_MAX)
u64 = st.integers(0, 2**64 - 1)


def integers(bits: int, is_signed: object) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else st.integers(0, 2**bits - 1)


SCALARS: dict[DataType, st.SearchStrategy[Any]] = {
    **{datatype: integers(*bits) for datatype, bits in INTEGER_BITS.items()},
    DataType.Float: st.floats(width=32),
    DataType.Double: st.floats(),
    DataType.Boolean: st.booleans(),
    DataType.String: texts,
    DataType.Text: texts,
    DataType.UUID: st.uuids().map(str),
}


def arrays(datatype: DataType) -> st.SearchStrategy[Any]:
    dtype = np.dtype(ARRAY_DTYPE[datatype])
    return st.binary(max_size=40).map(
        lambda raw: np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)
    )


@st.composite
def datasets(draw: st.DrawFn) -> DataSet:
    types = draw(st.lists(st.sampled_from(sorted(SCALARS)), max_size=4))
    row = st.tuples(*(st.none() | SCALARS[datatype] for datatype in types))
    rows = draw(st.lists(row, max_size=4)) if types else []
    return DataSet(tuple(draw(texts) for _ in types), tuple(types), tuple(rows))


scalar_properties = st.sampled_from(sorted(SCALARS)).flatmap(
    lambda datatype: st.builds(PropertyValue, st.none() | SCALARS[datatype], st.just(datatype))
)
property_sets = st.recursive(
    st.dictionaries(texts, scalar_properties, max_size=3),
    lambda inner: st.dictionaries(
        texts,
        st.builds(PropertyValue, inner, st.just(DataType.PropertySet))
        | st.builds(PropertyValue, st.lists(inner, max_size=2).map(tuple), st.just(DataType.PropertySetList)),
        max_size=2,
    ),
    max_leaves=4,
)
parameters = st.sampled_from(sorted(SCALARS)).flatmap(
    lambda datatype: st.builds(Parameter, texts, st.just(datatype), st.none() | SCALARS[datatype])
)
metadata = st.builds(
    MetaData,
    *(st.none() | part for part in (st.booleans(), texts, u64, u64, texts, texts, texts, texts)),
)
VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    **SCALARS,
    **{datatype: arrays(datatype) for datatype in ARRAY_DTYPE},
    DataType.BooleanArray: st.lists(st.booleans(), max_size=20).map(lambda values: np.array(values, np.bool_)),
    DataType.StringArray: st.lists(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5), max_size=5
    ).map(tuple),
    DataType.Bytes: st.binary(max_size=50),
    DataType.File: st.binary(max_size=50),
    DataType.DataSet: datasets(),
}


def metrics_of(values: dict[DataType, st.SearchStrategy[Any]]) -> st.SearchStrategy[Metric]:
    return st.sampled_from(sorted(values)).flatmap(
        lambda datatype: st.builds(
            Metric,
            st.none() | names,
            st.none() | values[datatype],
            st.just(datatype),
            st.none() | u64,
            st.none() | timestamps,
            st.booleans(),
            st.booleans(),
            st.none() | property_sets,
            st.none() | metadata,
        )
    )


templates = st.recursive(
    st.builds(
        Template,
        st.lists(metrics_of(SCALARS), max_size=3).map(tuple),
        st.lists(parameters, max_size=2).map(tuple),
        st.none() | texts,
        st.booleans(),
        st.none() | texts,
    ),
    lambda inner: st.tuples(names, inner).map(lambda pair: Template((Metric(*pair, DataType.Template),))),
    max_leaves=3,
)
VALUES[DataType.Template] = templates
metrics = metrics_of(VALUES)
payloads = st.builds(
    Payload,
    st.none() | timestamps,
    st.none() | st.integers(0, 255),
    st.lists(metrics, max_size=5).map(tuple),
    st.none() | texts,
    st.none() | st.binary(max_size=20),
)


def same(one: Any, other: Any) -> bool:
    """Equality that looks into arrays, counts NaN equal to NaN and distinguishes -0.0 from 0.0 and True from 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__slots__") and hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    return bool(one == other)


@pytest.mark.parametrize(
    "datatype", [kind for kind in DataType if kind not in (DataType.PropertySet, DataType.PropertySetList)]
)
@settings(max_examples=40)
@given(data=st.data())
def test_a_value_of_each_datatype_is_read_back(datatype: DataType, data: st.DataObject) -> None:
    metric = Metric("m", data.draw(VALUES[datatype]), datatype)
    (read,) = decode(encode_metrics([metric])).metrics
    assert same(read, metric)


def test_every_datatype_is_covered() -> None:
    assert set(VALUES) | {DataType.PropertySet, DataType.PropertySetList} == set(DataType)
    assert len(DataType) == 34


@settings(max_examples=150)
@given(payloads)
def test_a_payload_is_read_back(payload: Payload) -> None:
    assert same(decode(encode(payload)), payload)


@settings(max_examples=60)
@given(st.lists(metrics, max_size=4), st.lists(metrics, max_size=4), timestamps, st.integers(0, 255))
def test_header_and_bodies_concatenate_to_a_payload(
    head: list[Metric], tail: list[Metric], timestamp_ms: int, seq: int
) -> None:
    joined = encode_header(timestamp_ms, seq) + encode_metrics(head) + encode_metrics(tail)
    assert same(decode(joined), Payload(timestamp_ms, seq, tuple(head + tail)))


@settings(max_examples=60)
@given(st.lists(metrics, max_size=4))
def test_marking_historical_changes_that_flag_alone(written: list[Metric]) -> None:
    marked = decode(mark_historical(encode_metrics(written))).metrics
    assert same(marked, tuple(metric._replace(is_historical=True) for metric in written))


@settings(max_examples=60)
@given(st.lists(metrics, max_size=4))
def test_what_a_birth_told_may_be_left_out_of_data(written: list[Metric]) -> None:
    full = [metric._replace(name=f"m{index}", alias=index) for index, metric in enumerate(written)]
    known = {metric.alias: (metric.name, metric.datatype) for metric in full}
    bare = encode_metrics([metric._replace(name=None) for metric in full], datatype_in_data=False)
    assert same(decode(bare, known).metrics, tuple(full))
    by_name = encode_metrics([metric._replace(alias=None) for metric in full], datatype_in_data=False)
    told = {metric.name: (metric.name, metric.datatype) for metric in full}
    assert same(decode(by_name, told).metrics, tuple(metric._replace(alias=None) for metric in full))


@given(st.sampled_from(sorted(INTEGER_BITS)), st.integers(-(2**70), 2**70))
def test_an_integer_is_kept_or_refused(datatype: DataType, number: int) -> None:
    bits, is_signed = INTEGER_BITS[datatype]
    fits = -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) if is_signed else 0 <= number < 2**bits
    try:
        (read,) = decode(encode_metrics([Metric("m", number, datatype)])).metrics
    except PayloadError:
        assert not fits
    else:
        assert fits
        assert read.value == number


@given(
    st.sampled_from([kind for kind in ARRAY_DTYPE if np.dtype(ARRAY_DTYPE[kind]).kind in "iu"]),
    st.lists(u64, max_size=3),
)
def test_an_integer_array_is_kept_or_refused(datatype: DataType, numbers: list[int]) -> None:
    fits = all(number <= np.iinfo(ARRAY_DTYPE[datatype]).max for number in numbers)
    for values in (numbers, np.array(numbers, np.uint64)):
        try:
            (read,) = decode(encode_metrics([Metric("m", values, datatype)])).metrics
        except PayloadError:
            assert not fits
        else:
            assert read.value.tolist() == numbers


def sample() -> bytes:
    """A payload with something of everything."""
    rng = np.random.default_rng(7)
    scalars = [
        Metric("i8", -5, DataType.Int8, 1, 1000),
        Metric("u32", 4_000_000_000, DataType.UInt32, 2),
        Metric("i64", -(2**63), DataType.Int64, 3, is_historical=True),
        Metric("f", 1.5, DataType.Float, properties={"engUnit": PropertyValue("bar", DataType.String)}),
        Metric("d", math.nan, DataType.Double, is_transient=True),
        Metric("t", "智伞", DataType.Text),
        Metric("n", None, DataType.Boolean),
        Metric("file", b"\x00\x01", DataType.File, metadata=MetaData(file_name="a.bin", size=2)),
    ]
    made = [
        Metric("curve", rng.random(20).astype(np.float32), DataType.FloatArray),
        Metric("bools", [True, False, True], DataType.BooleanArray),
        Metric("texts", ["a", "", "b"], DataType.StringArray),
        Metric("times", [1, 2], DataType.DateTimeArray),
        Metric(
            "table",
            DataSet(("a", "b"), (DataType.Int64, DataType.String), ((1, "x"), (-2, None))),
            DataType.DataSet,
        ),
        Metric(
            "nested",
            PropertyValue,
            DataType.String,
            properties={
                "set": PropertyValue({"q": PropertyValue(192, DataType.Int32)}, DataType.PropertySet),
                "list": PropertyValue(({"q": PropertyValue(0, DataType.Int32)},), DataType.PropertySetList),
            },
        )._replace(value="v"),
        Metric(
            "template",
            Template(tuple(scalars[:2]), (Parameter("p", DataType.Double, 2.5),), "Type", False, "1"),
            DataType.Template,
        ),
    ]
    return encode(Payload(1_767_225_600_000, 7, (*scalars, *made), "uuid", b"body"))


def injured(rng: random.Random, whole: bytes) -> bytes:
    """One or two random injuries of the bytes: bits, bytes, insertions, deletions, repeats and, rarely, a cut."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(data))
        match rng.randrange(12):
            case 0:
                del data[at : at + rng.randint(1, 8)]
            case 1:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 2:
                data[at:at] = data[at : at + rng.randint(1, 60)]
            case 3:
                del data[at + 1 :]
            case 4 | 5 | 6:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case _:
                data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def disguised(rng: random.Random, whole: bytes) -> bytes:
    """A payload that Protobuf accepts, but whose metrics are of other types than their values say."""
    wire = Wire.FromString(whole)
    for _ in range(rng.randint(1, 2)):
        metric = rng.choice(wire.metrics)
        match rng.randrange(4):
            case 0:
                metric.bytes_value = rng.randbytes(rng.randint(0, 12))
            case 1:
                metric.int_value = rng.randrange(2**32)
            case 2:
                metric.long_value = rng.randrange(2**64)
            case _:
                metric.is_null = False
        metric.datatype = rng.randrange(36)
    return wire.SerializeToString()


@pytest.mark.parametrize("injure", [injured, disguised])
def test_no_injury_raises_anything_but_payload_error(injure: Callable[[random.Random, bytes], bytes]) -> None:
    """20,000 seeded injuries each; both outcomes have to occur often, or the injuries are too mild or too harsh."""
    rng = random.Random(20_260_101)
    whole = sample()
    known = {1: ("i8", DataType.Int8), "curve": ("curve", DataType.FloatArray)}
    refused = 0
    for _ in range(20_000):
        try:
            payload = decode(injure(rng, whole), known)
        except PayloadError:
            refused += 1
            continue
        assert payload.seq is None or 0 <= payload.seq <= 255
    assert 3_000 < refused < 18_000


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_payload_error(data: bytes) -> None:
    with contextlib.suppress(PayloadError):
        assert isinstance(decode(data), Payload)


def bare(**fields: Any) -> bytes:
    wire = Wire()
    wire.metrics.add(name="m", **fields)
    return wire.SerializeToString()


def nested_template(depth: int) -> bytes:
    inner = Template((Metric("leaf", 1, DataType.Int8),))
    for _ in range(depth - 1):
        inner = Template((Metric("t", inner, DataType.Template),))
    return encode_metrics([Metric("t", inner, DataType.Template)])


def nested_properties(depth: int) -> bytes:
    inner: dict[str, PropertyValue] = {}
    for _ in range(depth):
        inner = {"p": PropertyValue(inner, DataType.PropertySet)}
    return encode_metrics([Metric("m", 1, DataType.Int8, properties=inner)])


dataset = Wire.DataSet
HOSTILE = {
    "a value in another type's field": bare(datatype=DataType.Int32, string_value="1"),
    "an array in a string": bare(datatype=DataType.FloatArray, string_value="1234"),
    "an extension": bare(datatype=DataType.String, extension_value=Wire.Extension()),
    "an extension without datatype": bare(extension_value=Wire.Extension()),
    "an unknown datatype": bare(datatype=35, int_value=1),
    "a huge datatype": bare(datatype=2**32 - 1, int_value=1),
    "Int8 out of range": bare(datatype=DataType.Int8, int_value=256),
    "Int16 out of range": bare(datatype=DataType.Int16, int_value=2**31),
    "UInt8 out of range": bare(datatype=DataType.UInt8, int_value=256),
    "UInt32 out of range": bare(datatype=DataType.UInt32, long_value=2**32),
    "a timestamp after all calendars": bare(datatype=DataType.Int8, int_value=1, timestamp=2**64 - 1),
    "Int16Array of odd length": bare(datatype=DataType.Int16Array, bytes_value=b"abc"),
    "DoubleArray cut": bare(datatype=DataType.DoubleArray, bytes_value=b"1234567"),
    "BooleanArray with a huge count": bare(datatype=DataType.BooleanArray, bytes_value=b"\xff\xff\xff\xff\x01"),
    "BooleanArray with bytes left over": bare(datatype=DataType.BooleanArray, bytes_value=b"\x01\0\0\0\x80\x80"),
    "BooleanArray without count": bare(datatype=DataType.BooleanArray, bytes_value=b"\x01"),
    "StringArray without end": bare(datatype=DataType.StringArray, bytes_value=b"abc"),
    "StringArray not UTF-8": bare(datatype=DataType.StringArray, bytes_value=b"\xff\0"),
    "DataSet with a huge column count": bare(
        datatype=DataType.DataSet, dataset_value=dataset(num_of_columns=2**60, columns=["a"], types=[1])
    ),
    "DataSet of different lengths": bare(
        datatype=DataType.DataSet, dataset_value=dataset(num_of_columns=1, columns=["a"], types=[1, 1])
    ),
    "DataSet with a short row": bare(
        datatype=DataType.DataSet,
        dataset_value=dataset(num_of_columns=1, columns=["a"], types=[1], rows=[dataset.Row()]),
    ),
    "DataSet of rows without columns": bare(
        datatype=DataType.DataSet, dataset_value=dataset(num_of_columns=0, rows=[dataset.Row()])
    ),
    "DataSet of templates": bare(
        datatype=DataType.DataSet, dataset_value=dataset(num_of_columns=1, columns=["a"], types=[19])
    ),
    "PropertySet of different lengths": bare(
        datatype=DataType.Int8, int_value=1, properties=Wire.PropertySet(keys=["a", "b"], values=[])
    ),
    "templates nested too deep": nested_template(9),
    "templates nested beyond Protobuf": nested_template(60),
    "properties nested too deep": nested_properties(9),
    "seq beyond 255": Wire(seq=256).SerializeToString(),
    "invalid UTF-8 in a name": b"\x12\x03\x0a\x01\xff",
    "invalid UTF-8 in the uuid": b"\x22\x01\xff",
    "more than 4 MiB": b"\x2a\x81\x80\x80\x02" + bytes(4 * 1024 * 1024),
    "too many metrics": b"\x12\x00" * 20_001,
    "two million empty metrics": b"\x12\x00" * 2_000_000,
    "a length beyond the end, in a large payload": b"\x2a\x80\x80\x08" + bytes(100_000) + b"\x2a\x7f",
    "an endless number, in a large payload": b"\x80" * 100_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bytes_are_refused(case: str) -> None:
    with pytest.raises(PayloadError):
        decode(HOSTILE[case])


def test_a_million_cells_are_refused_before_they_are_made() -> None:
    row = b"\x22\x00"
    inner = b"\x08\x01" + row * 1_000_000
    size = Wire(body=inner).SerializeToString()[1 : -len(inner)]
    metric = b"\x8a\x01" + size + inner
    data = b"\x12" + Wire(body=metric).SerializeToString()[1 : -len(metric)] + metric
    with pytest.raises(PayloadError, match="more than 200000 messages"):
        decode(data)


def test_depth_up_to_the_bound_is_read() -> None:
    assert decode(nested_template(8)).metrics
    assert decode(nested_properties(8)).metrics


SPECIFICATION_EXAMPLES = [
    (DataType.Int8Array, [-17, 123], "EF7B"),  # the specification has -23 here, which is E9 in two's complement
    (DataType.Int16Array, [-30000, 30000], "D08A3075"),
    (DataType.Int32Array, [-1, 315338746], "FFFFFFFFFAAFCB12"),
    (DataType.UInt8Array, [23, 250], "17FA"),
    (DataType.UInt16Array, [30, 52360], "1E0088CC"),
    (DataType.UInt64Array, [52, 16444743074749521625], "3400000000000000D99E02D1B27637E4"),
    (DataType.DateTimeArray, [1256102875335, 1656107875000], "C7D0907524010000B8BAB89781010000"),
    (DataType.StringArray, ["ABC", "hello"], "4142430068656C6C6F00"),
    (
        DataType.BooleanArray,
        [False, False, True, True, False, True, False, False, True, True, False, True],
        "0C00000034D0",
    ),
]


@pytest.mark.parametrize(("datatype", "values", "expected"), SPECIFICATION_EXAMPLES)
def test_arrays_are_packed_as_in_the_specification(datatype: DataType, values: list[Any], expected: str) -> None:
    wire = Wire.FromString(encode_metrics([Metric("m", values, datatype)]))
    assert wire.metrics[0].bytes_value.hex().upper() == expected


def test_floats_are_packed_little_endian_as_the_text_says() -> None:
    """The specification's two examples are big-endian against its own text; other implementations follow the text."""
    wire = Wire.FromString(encode_metrics([Metric("m", [1.23, 89.341], DataType.FloatArray)]))
    assert wire.metrics[0].bytes_value.hex() == "a4709d3f98aeb242"


def test_negative_integers_fill_their_field() -> None:
    wire = Wire.FromString(encode_metrics([Metric("a", -1, DataType.Int8), Metric("b", -1, DataType.Int64)]))
    assert wire.metrics[0].int_value == 2**32 - 1
    assert wire.metrics[1].long_value == 2**64 - 1


def test_narrow_and_alternative_integer_forms_are_read() -> None:
    assert decode(bare(datatype=DataType.Int8, int_value=0xFF)).metrics[0].value == -1
    assert decode(bare(datatype=DataType.Int16, int_value=0x8000)).metrics[0].value == -(2**15)
    assert decode(bare(datatype=DataType.UInt32, int_value=7)).metrics[0].value == 7
    assert decode(bare(datatype=DataType.UInt32, long_value=7)).metrics[0].value == 7


def test_a_metric_without_datatype_keeps_its_bare_field() -> None:
    (metric,) = decode(bare(boolean_value=True)).metrics
    assert (metric.value, metric.datatype) == (True, None)
    (metric,) = decode(bare(datatype=0, long_value=5)).metrics
    assert (metric.value, metric.datatype) == (5, None)


UNWRITABLE = [
    Metric("m", 1, None),
    Metric("", 1, DataType.Int8),
    Metric("m", "1", DataType.Int8),
    Metric("m", 1.5, DataType.Int32),
    Metric("m", 1, DataType.Boolean),
    Metric("m", "1.5", DataType.Double),
    Metric("m", 1e300, DataType.Float),
    Metric("m", 5, DataType.String),
    Metric("m", "\ud800", DataType.String),
    Metric("\ud800", 1, DataType.Int8),
    Metric("m", "text", DataType.Bytes),
    Metric("m", [1.5], DataType.Int32Array),
    Metric("m", [300], DataType.UInt8Array),
    Metric("m", np.array([300]), DataType.Int8Array),
    Metric("m", np.array([1e300]), DataType.FloatArray),
    Metric("m", np.zeros((2, 2), np.float32), DataType.FloatArray),
    Metric("m", [1, 0], DataType.BooleanArray),
    Metric("m", ["a\0b"], DataType.StringArray),
    Metric("m", ["\ud800"], DataType.StringArray),
    Metric("m", {}, DataType.DataSet),
    Metric("m", DataSet(("a",), ()), DataType.DataSet),
    Metric("m", DataSet(("a",), (DataType.Bytes,)), DataType.DataSet),
    Metric("m", {}, DataType.PropertySet),
    Metric("m", 1, DataType.Int8, alias=-1),
    Metric("m", 1, DataType.Int8, timestamp_ms=-1),
    Metric("m", 1, DataType.Int8, timestamp_ms=TIMESTAMP_MS_MAX + 1),
    Metric("m", 1, DataType.Int8, properties={"a": PropertyValue(1, None)}),
    Metric("m", 1, DataType.Int8, properties={"a": PropertyValue(b"", DataType.Bytes)}),
]


@pytest.mark.parametrize("metric", UNWRITABLE, ids=range(len(UNWRITABLE)))
def test_what_cannot_be_written_is_refused_by_name(metric: Metric) -> None:
    with pytest.raises(PayloadError):
        encode_metrics([metric])


def test_scalar_fields_are_those_of_the_cells_too() -> None:
    assert set(FIELD) == set(SCALARS)
