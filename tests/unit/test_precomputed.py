"""open_vectors: every format, and a sentence for everything that can be wrong with a file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecpress.encoders.precomputed import open_vectors
from vecpress.errors import DataError

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3) - 5


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def npy(path, array):
    np.save(path, array, allow_pickle=True)
    return path


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def refusal(path):
    with pytest.raises(DataError) as caught:
        open_vectors(path)
    return str(caught.value)


# --- .npy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i8", ">f4"])
def test_an_npy_file_stays_on_disk_whatever_its_number_type(tmp_path, dtype):
    vectors = open_vectors(npy(tmp_path / "v.npy", np.abs(ROWS).astype(dtype)))
    assert isinstance(vectors.array, np.memmap)
    assert vectors.array.dtype == dtype
    np.testing.assert_array_equal(vectors.array, np.abs(ROWS))
    assert tuple(vectors.ids) == ("0", "1", "2", "3")


def test_an_npy_file_in_column_order_is_read_in_rows(tmp_path):
    vectors = open_vectors(npy(tmp_path / "v.npy", np.asfortranarray(ROWS)))
    np.testing.assert_array_equal(vectors.array, ROWS)


def test_a_path_may_be_a_string(tmp_path):
    np.testing.assert_array_equal(open_vectors(str(npy(tmp_path / "v.npy", ROWS))).array, ROWS)


MATRICES = [
    (np.zeros(3), r"float64 of shape \(3,\)"),
    (np.zeros((2, 3, 4)), r"float64 of shape \(2, 3, 4\)"),
    (np.float32(1), r"float32 of shape \(\)"),
    (np.zeros((0, 3)), r"float64 of shape \(0, 3\)"),
    (np.zeros((3, 0)), r"float64 of shape \(3, 0\)"),
    (np.array([["a", "b"]]), r"<U1 of shape \(1, 2\)"),
    (np.zeros((2, 2), bool), r"bool of shape \(2, 2\)"),
    (np.zeros((2, 2), complex), r"complex128 of shape \(2, 2\)"),
]


@pytest.mark.parametrize(("array", "got"), MATRICES)
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, array, got):
    path = npy(tmp_path / "v.npy", array)
    message = f"^{path} must hold a matrix of numbers, one row per document, got {got}$"
    with pytest.raises(DataError, match=message):
        open_vectors(path)


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    path = npy(tmp_path / "v.npy", np.array([[1, "a"]], object))
    assert refusal(path).startswith(f"{path} is not a readable .npy file: ")
    path = npz(tmp_path / "v.npz", a=np.array([[1, "a"]], object))
    assert refusal(path).startswith(f"{path} is not a readable .npz file: Object arrays cannot be")


@pytest.mark.parametrize("length", [0, 4, 60, -1])
def test_a_truncated_npy_file_is_refused(tmp_path, length):
    path = npy(tmp_path / "v.npy", ROWS)
    path.write_bytes(path.read_bytes()[:length])
    assert refusal(path).startswith(f"{path} is not a readable .npy file: ")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
@pytest.mark.parametrize("data", [b"", b"\0" * 300, b"\x80\x04garbage", b"id,text\n1,a\n"])
def test_garbage_is_refused_without_advice_to_trust_it(tmp_path, suffix, data):
    path = tmp_path / f"v{suffix}"
    path.write_bytes(data)
    message = refusal(path)
    assert message.startswith(f"{path} is not a readable {suffix} file: ")
    assert "trust" not in message
    assert "pickle" not in message


def test_an_archive_and_an_array_under_each_others_names_are_refused(tmp_path):
    npz(tmp_path / "v.npz", a=ROWS).rename(tmp_path / "a.npy")
    npy(tmp_path / "v.npy", ROWS).rename(tmp_path / "b.npz")
    for name in ("a.npy", "b.npz"):
        path = tmp_path / name
        message = f"{path} is not a readable {path.suffix} file: it does not begin like one"
        assert refusal(path) == message


# --- .npz -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["embeddings", "anything"])
def test_the_one_matrix_of_an_archive_is_taken(tmp_path, name):
    vectors = open_vectors(npz(tmp_path / "v.npz", **{name: ROWS}))
    np.testing.assert_array_equal(vectors.array, ROWS)
    assert tuple(vectors.ids) == ("0", "1", "2", "3")


def test_embeddings_are_taken_among_others_and_ids_go_with_them(tmp_path):
    ids = np.array(["a", "ü", "東", "d"])
    path = npz(tmp_path / "v.npz", other=np.eye(2), embeddings=ROWS, ids=ids)
    vectors = open_vectors(path)
    np.testing.assert_array_equal(vectors.array, ROWS)
    assert vectors.ids == ("a", "ü", "東", "d")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (np.array([7, 3, 5, 1]), ("7", "3", "5", "1")),
        (np.array([b"a", b"b", b"c", "ü".encode()]), ("a", "b", "c", "ü")),
    ],
)
def test_ids_may_be_numbers_or_bytes(tmp_path, ids, expected):
    assert open_vectors(npz(tmp_path / "v.npz", a=ROWS, ids=ids)).ids == expected


def test_an_archive_must_say_which_matrix_it_means(tmp_path):
    path = npz(tmp_path / "v.npz", a=ROWS, b=ROWS)
    assert refusal(path) == f"{path} must hold one matrix called 'embeddings', got ['a', 'b']"
    path = npz(tmp_path / "v.npz", ids=np.array(["a"]))
    assert refusal(path) == f"{path} must hold one matrix called 'embeddings', got []"


def test_a_damaged_archive_is_refused(tmp_path):
    path = npz(tmp_path / "v.npz", a=np.random.default_rng(0).normal(size=(200, 4)))
    data = path.read_bytes()
    for spoilt in (data[:-30], data[:100] + b"\xff" * 4000 + data[4100:]):
        path.write_bytes(spoilt)
        assert refusal(path).startswith(f"{path} is not a readable .npz file: ")


@pytest.mark.parametrize(
    ("ids", "different"), [(["a", "b", "a", "c"], 3), (["a", "b"], 2), (list("abcde"), 5)]
)
def test_every_row_needs_an_id_of_its_own(tmp_path, ids, different):
    expected = f" must have one id of its own per row, got {different} different ids for 4 rows"
    path = npz(tmp_path / "v.npz", a=ROWS, ids=np.array(ids))
    assert refusal(path) == f"{path}{expected}"


# --- .parquet ---------------------------------------------------------------------------------

KINDS = [
    pa.list_(pa.float32()),
    pa.list_(pa.float64()),
    pa.list_(pa.float16()),
    pa.list_(pa.int8()),
    pa.list_(pa.float32(), 3),
    pa.list_(pa.uint8(), 3),
    pa.large_list(pa.float32()),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_lists_of_every_kind_are_read_over_row_groups(tmp_path, kind):
    column = pa.array(list(np.abs(ROWS).astype(kind.value_type.to_pandas_dtype())), kind)
    vectors = open_vectors(parquet(tmp_path / "v.parquet", v=column))
    np.testing.assert_array_equal(vectors.array, np.abs(ROWS))
    assert vectors.array.dtype == kind.value_type.to_pandas_dtype()
    assert vectors.array.flags.c_contiguous
    assert tuple(vectors.ids) == ("0", "1", "2", "3")


@pytest.mark.parametrize("name", ["id", "_id", "ids"])
def test_a_column_of_ids_names_the_rows(tmp_path, name):
    path = parquet(tmp_path / "v.parquet", **{name: ["a", "ü", "c", "d"], "v": ROWS.tolist()})
    assert open_vectors(path).ids == ("a", "ü", "c", "d")


def test_other_columns_are_no_matter_lists_of_words_included(tmp_path):
    path = parquet(
        tmp_path / "v.parquet",
        _id=[4, 3, 2, 1],
        text=["a", "b", "c", "d"],
        tags=[["x"], [], ["y", "z"], ["x"]],
        embedding=ROWS.tolist(),
    )
    vectors = open_vectors(path)
    np.testing.assert_array_equal(vectors.array, ROWS)
    assert vectors.ids == ("4", "3", "2", "1")


RAGGED = [
    ([[1.0, 2.0], [3.0]], None),
    ([[1.0, 2.0, 3.0], [4.0]], None),  # as many numbers as two rows of two
    ([[1.0, 2.0], None], None),
    ([[1.0, 2.0], None], 2),
    ([[1.0, None], [3.0, 4.0]], None),
    ([[1.0, None], [3.0, 4.0]], 2),
]


@pytest.mark.parametrize(("lists", "size"), RAGGED)
def test_ragged_lists_and_nulls_are_refused(tmp_path, lists, size):
    kind = pa.list_(pa.float32(), size) if size else pa.list_(pa.float32())
    path = parquet(tmp_path / "v.parquet", v=pa.array(lists, kind))
    assert refusal(path) == f"the lists of {path} must all have the same length, without nulls"


def test_a_table_without_one_column_of_vectors_is_refused(tmp_path):
    path = parquet(tmp_path / "v.parquet", a=[[1.0]], b=[[2.0]])
    expected = "must have one column of lists of numbers, got"
    assert refusal(path) == f"{path} {expected} ['a', 'b']"
    for columns in ({"text": ["a"]}, {"tags": [["a"]]}, {"matrix": [[[1.0]]]}):
        path = parquet(tmp_path / "v.parquet", **columns)
        assert refusal(path) == f"{path} {expected} none"


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 3)], ids=str)
def test_a_table_without_rows_is_refused(tmp_path, kind):
    path = parquet(tmp_path / "v.parquet", v=pa.array([], kind))
    assert "must hold a matrix of numbers, one row per document, got float32" in refusal(path)


def test_lists_without_numbers_are_refused(tmp_path):
    path = parquet(tmp_path / "v.parquet", v=pa.array([[], []], pa.list_(pa.float32())))
    assert refusal(path).endswith("one row per document, got float32 of shape (2, 0)")


def test_twins_and_nulls_among_the_ids_are_refused(tmp_path):
    rows = ROWS.tolist()
    path = parquet(tmp_path / "v.parquet", id=["a", "b", "b", "c"], v=rows)
    assert refusal(path) == (
        f"{path} must have one id of its own per row, got 3 different ids for 4 rows"
    )
    path = parquet(tmp_path / "v.parquet", id=["a", None, "b", "c"], v=rows)
    assert refusal(path) == f"the column 'id' of {path} must name every row, got nulls"


def test_a_truncated_table_is_refused(tmp_path):
    path = parquet(tmp_path / "v.parquet", v=ROWS.tolist())
    path.write_bytes(path.read_bytes()[:-9])
    assert refusal(path).startswith(f"{path} is not a readable .parquet file: ")


# --- the path ---------------------------------------------------------------------------------


def test_an_absent_file_is_named(tmp_path):
    path = tmp_path / "gone.npy"
    assert refusal(path) == f"{path} does not exist: give vectors as .npy, .npz or .parquet"


@pytest.mark.parametrize("name", ["v.csv", "v", "v.npy.gz", ".npy"])
def test_another_ending_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"1")
    assert refusal(path) == f"cannot read vectors from {path}: give .npy, .npz or .parquet"


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_folder_under_such_a_name_is_refused(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    path.mkdir()
    assert refusal(path).startswith(f"{path} is not a readable {suffix} file: ")
