"""The reader of OpenSim storage files: real files, generated ones, and every way to be broken."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.opensim import Storage, read_storage

GOOD = "walk\nversion=1\nnRows=3\nnColumns=3\ninDegrees=yes\nendheader\n"
TABLE = "time\tknee\thip\n0.0\t1\t2\n0.1\t3\t4\n0.2\t5\t6\n"

# Folder and file: what the header says about angles, and the shape of the data.
REAL_FILES = {
    "walk36/ik.sto": (True, (6097, 23)),
    "walk36/id.sto": (False, (6097, 23)),
    "walk36/XLD.mot": (False, (6097, 18)),
    "walk36/emgFilt.sto": (None, (6097, 9)),
    "hamner/run200_ik.mot": (False, (233, 37)),
    "hamner/run200_grf.mot": (None, (233, 18)),
    "opencap_subject4/walking1_ik.mot": (False, (131, 33)),
    "opencap_subject4/walking1_grf.mot": (None, (131, 18)),
    "exampleEMGTracking/coordinates.mot": (True, (238, 39)),
    "exampleEMGTracking/emg.sto": (None, (2341, 8)),
    # Its header states nColumns=40, left over from the table that OpenSim made it from.
    "example3DWalking/coordinates.sto": (False, (1350, 31)),
    # Only prose says that its angles are in degrees.
    "running/runningModel_Kinematics_q.sto": (None, (684, 37)),
    "running/runningModel_GRF_data.mot": (None, (691, 18)),
}


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.sto"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.data
def test_every_real_file_reads(data_dir: Path) -> None:
    found = {}
    for path in sorted(data_dir.rglob("*")):
        if path.suffix in (".sto", ".mot"):
            storage = read_storage(path)
            assert np.isfinite(storage.data).all()
            assert storage.rate in (100.0, 1000.0, 2000.0)
            found["/".join(path.parts[-2:])] = (storage.in_degrees, storage.data.shape)
    assert REAL_FILES.items() <= found.items()


@pytest.mark.data
def test_real_file_values(data_dir: Path) -> None:
    folder = data_dir / "wang2023_subject06" / "walk36"
    angles = read_storage(folder / "ik.sto", require_units=True)
    assert angles.name == "Coordinates"
    assert angles.column("pelvis_tilt")[0] == 1.27387834
    emg = read_storage(folder / "emgFilt.sto")
    assert emg.name == "Normalized EMG Linear Envelopes"
    assert emg.columns[:2] == ("soleus_r", "med_gas_r")
    np.testing.assert_array_equal(emg.data[0, :2], [0.070021, 0.195391])
    with pytest.raises(FileFormatError, match="add the right one"):
        read_storage(folder / "emgFilt.sto", require_units=True)


@pytest.mark.data
def test_reads_fast(data_dir: Path) -> None:
    path = data_dir / "wang2023_subject06" / "walk36" / "ik.sto"
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        read_storage(path)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.3


@pytest.mark.parametrize(
    "text",
    [
        GOOD + TABLE,
        (GOOD + TABLE).replace("\n", "\r\n"),
        (GOOD + TABLE).replace("\n", "\r"),
        (GOOD + TABLE).replace("\n", "\t\n"),
        (GOOD + TABLE).replace("\n", "\n\n"),
        (GOOD + TABLE).replace("\t", "  \t "),
        (GOOD + TABLE).replace("\t", "   "),
        (GOOD + TABLE).rstrip(),
        "\ufeff" + GOOD + TABLE,
        "walk\nENDHEADER\n" + TABLE.replace("time", "Time"),
        "walk\nINDEGREES = YES\nNROWS=3\nnColumns=17\nUnits are S.I. units.\nendheader\n" + TABLE,
        "name walk\t\t\ndatacolumns 3\t\t\ndatarows 3\t\t\nrange 0 0.2\t\t\nendheader\t\t\n"
        + TABLE,
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "trailing_tabs",
        "blank_lines",
        "mixed",
        "spaces",
        "no_newline",
        "bom",
        "short",
        "any_case",
        "simm",
    ],
)
def test_variants_read_the_same(tmp_path: Path, text: str) -> None:
    storage = read_storage(write(tmp_path, text))
    assert storage.name == "walk"
    assert storage.columns == ("knee", "hip")
    np.testing.assert_array_equal(storage.time, [0.0, 0.1, 0.2])
    np.testing.assert_array_equal(storage.data, [[1, 2], [3, 4], [5, 6]])
    assert storage.in_degrees is (True if "yes" in text.lower() else None)


def test_header_and_labels(tmp_path: Path) -> None:
    text = "\nnote=Müller\ninDegrees=no\nendheader\ntime\t knee angle\thip\n0\t1\t2\n1\t3\t4\n"
    storage = read_storage(write(tmp_path, text.encode("latin-1")))
    assert storage.name == ""
    assert storage.columns == ("knee angle", "hip")
    assert storage.in_degrees is False
    assert storage.header == {"note": "Müller", "indegrees": "no"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("\n \n", "empty file"),
        (b"walk\nendheader\n\x00\x01", "binary content .byte 0x00 at offset 15"),
        ("walk\nendheader\n".encode("utf-16"), "binary content"),
        (TABLE, "no line 'endheader'"),
        (GOOD, "nothing after 'endheader'"),
        (GOOD + TABLE.replace("time", "knee_l"), "line 7 starts with 'knee_l'.*'time'"),
        (GOOD + TABLE.partition("\n")[2], "line 7 starts with '0.0'"),
        ("endheader\ntime\n0\n1\n", "no column but the time"),
        (GOOD + TABLE.replace("hip", "knee"), "same label twice: knee"),
        (GOOD + TABLE.replace("0.2\t5\t6\n", ""), "2 rows where the header states nRows=3"),
        (GOOD + TABLE + "0.3\t7\t8\n", "4 rows where the header states nRows=3"),
        ("datarows 9\nendheader\n" + TABLE, "3 rows where the header states datarows 9"),
        (GOOD.replace("=3", "=many") + TABLE, "nRows=many"),
        (GOOD + TABLE[:-3], "line 10 has 2 values for 3 columns and is the last line"),
        (GOOD + TABLE.replace("3\t4", "3"), "line 9 has 2 values for 3 columns.*one value"),
        (GOOD + TABLE.replace("3\t4", "\t4"), "line 9 has 2 values"),
        (GOOD + TABLE.replace("3\t4", "3\t4\t4"), "line 9 has 4 values"),
        (GOOD + TABLE.replace("\thip", ""), "line 8 has 3 values for 2 columns"),
        (GOOD + TABLE.replace("4", "4,5"), "'4,5' in line 9, column 'hip'"),
        (GOOD + TABLE.replace("4", "4_5"), "'4_5' in line 9, column 'hip'"),
        (GOOD + TABLE.replace("4", "-1.#IND"), "'-1.#IND' in line 9, column 'hip'"),
        (GOOD + TABLE.replace("5", "NaN"), "nan in line 10, column 'knee'"),
        (GOOD + TABLE.replace("5", "-Inf"), "-inf in line 10, column 'knee'"),
        (GOOD + TABLE.replace("5", "1e999"), "inf in line 10, column 'knee'"),
        (GOOD + "\n" + TABLE.replace("0.1", "nan"), "nan in line 10, column 'time'"),
        (GOOD + TABLE.replace("0.2", "0.1"), "time 0.1 s in line 10 after 0.1 s"),
        (GOOD + TABLE.replace("0.2", "0.05"), "time 0.05 s in line 10 after 0.1 s"),
        ("endheader\ntime\tknee\n", "0 rows of data"),
        ("endheader\ntime\tknee\n0\t1\n", "1 rows of data"),
        (GOOD.replace("=yes", "=maybe") + TABLE, "inDegrees=maybe"),
        (GOOD.replace("endh", "inDegrees=no\nendh") + TABLE, "line 6 sets inDegrees to 'no'"),
        ("DataType=Vec3\nendheader\n" + TABLE, "DataType=Vec3"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(FileFormatError, match=f"(?s){message}") as caught:
        read_storage(path)
    assert caught.value.path == path


def test_paths_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        read_storage(tmp_path / "absent.sto")
    with pytest.raises(FileFormatError, match="a folder"):
        read_storage(tmp_path)

    def deny(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, GOOD + TABLE)
    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(FileFormatError, match="Permission denied"):
        read_storage(path)


def test_required_units(tmp_path: Path) -> None:
    prose = "walk\nAngles are in degrees.\nendheader\n" + TABLE
    path = write(tmp_path, prose)
    assert read_storage(path).in_degrees is None
    with pytest.raises(FileFormatError, match=r"remark 'Angles are in degrees\.'.*inDegrees=yes"):
        read_storage(path, require_units=True)
    assert read_storage(write(tmp_path, GOOD + TABLE), require_units=True).in_degrees is True


def make(times: list[float]) -> Storage:
    table = np.arange(2.0 * len(times)).reshape(-1, 2)
    return Storage(Path("a.sto"), "a", ("knee", "hip"), np.array(times), table, None, {})


def test_columns() -> None:
    storage = make([0.0, 0.1, 0.2])
    np.testing.assert_array_equal(storage.column("hip"), [1, 3, 5])
    storage.column("hip")[:] = 0  # a copy: the table stays
    np.testing.assert_array_equal(storage.data[:, 1], [1, 3, 5])
    swapped = storage.select(["hip", "knee"])
    assert swapped.columns == ("hip", "knee")
    np.testing.assert_array_equal(swapped.data, storage.data[:, ::-1])
    assert storage.select("hip").data.shape == (3, 1)
    with pytest.raises(InvalidInputError, match=r"'ankle'\. Available: hip, knee"):
        storage.column("ankle")
    with pytest.raises(InvalidInputError, match="Available: hip, knee"):
        storage.select(["knee", "ankle"])
    with pytest.raises(InvalidInputError, match="once each"):
        storage.select(["knee", "knee"])
    assert pickle.loads(pickle.dumps(storage)).columns == storage.columns


def test_rate() -> None:
    assert make([0.83, 0.8304999999999999, 0.831]).rate == 2000.0
    assert make([0.0, 0.0167, 0.0333, 0.05]).rate == 60.0
    with pytest.raises(InvalidInputError, match=r"after t = 0\.2 s is 0\.2 s.*numpy\.interp"):
        make([0.0, 0.1, 0.2, 0.4, 0.5]).rate  # noqa: B018


def test_resampling_as_the_error_says() -> None:
    s = make([0.0, 0.1, 0.25, 0.3])
    grid = np.arange(s.time[0], s.time[-1], 1 / 20.0)
    values = np.column_stack([np.interp(grid, s.time, s.column(name)) for name in s.columns])
    assert replace(s, time=grid, data=values).rate == 20.0


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LABELS = st.from_regex(r"[A-Za-z_/][A-Za-z0-9_/|.]{0,12}", fullmatch=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    values=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8).filter(lambda s: s[0] > 1),
        elements=NUMBERS,
    ),
    labels=st.lists(LABELS, min_size=8, max_size=8, unique=True),
    start=st.floats(-1e3, 1e3),
    separator=st.sampled_from(["\t", " ", "\t ", "   "]),
    newline=st.sampled_from(["\n", "\r\n", "\t\n", "\n\n"]),
    units=st.sampled_from([None, True, False]),
    counts=st.booleans(),
)
def test_round_trip(
    tmp_path: Path,
    values: np.ndarray,
    labels: list[str],
    start: float,
    separator: str,
    newline: str,
    units: bool | None,
    counts: bool,
) -> None:
    rows, n_columns = values.shape
    columns = [f"c_{label}" for label in labels[:n_columns]]  # none of them is "time"
    times = start + np.arange(rows) / 64
    lines = ["generated table"]
    if counts:
        lines += [f"nRows={rows}", f"nColumns={n_columns + 1}"]
    if units is not None:
        lines.append(f"inDegrees={'yes' if units else 'no'}")
    lines += ["endheader", separator.join(["time", *columns])]
    for t, row in zip(times, values, strict=True):
        lines.append(separator.join(repr(float(x)) for x in (t, *row)))
    storage = read_storage(write(tmp_path, newline.join(lines)))
    assert storage.name == "generated table"
    assert storage.columns == tuple(columns)
    assert storage.in_degrees is units
    np.testing.assert_array_equal(storage.time, times)
    np.testing.assert_array_equal(storage.data, values)
    assert storage.rate == pytest.approx(64.0)
