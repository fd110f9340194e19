"""YAML of scripts: the names are OpenCV's, the values lists of numbers."""

import msgspec
import pytest

from capture.views import VIEWS
from hand.errors import UserError
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from tests.runtime.calibration.formats.stereo import COEFFICIENTS, MATRIX, T_MM, R, assert_cameras, assert_lenses


def test_yaml_of_any_script_is_read(tmp_path):
    values = {f"camera_matrix_{view}": MATRIX[view].tolist() for view in VIEWS}
    values |= {f"dist_{view}": list(COEFFICIENTS[view]) for view in VIEWS} | {"R": R.tolist(), "T": T_MM[:, None].tolist()}
    path = tmp_path / "stereo.yaml"
    path.write_bytes(b"# written by a script\n" + msgspec.yaml.encode(values))
    assert_cameras(read_calibration(path))
    for view in VIEWS:
        values = {"camera_matrix": MATRIX[view].tolist(), "dist_coeff": [list(COEFFICIENTS[view])]}
        (tmp_path / f"{view}.yaml").write_bytes(msgspec.yaml.encode(values))
    lenses = read_calibration(tmp_path / "right.yaml", tmp_path / "left.yaml")
    assert_lenses(lenses)
    assert not isinstance(lenses, Calibration)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("K1: !!python/object/apply:numpy.core.multiarray._reconstruct\n", r"Python objects.*tolist\(\)"),
        ("K1: [[1, 2\n", "is no calibration: expected"),
        ("K1: [[1]]\nmap_x: [1]\n", "no key `K2`, .*, among `K1`, `map_x`:"),
    ],
)
def test_yaml_that_is_no_calibration_is_refused_with_what_to_do(tmp_path, text, says):
    path = tmp_path / "stereo.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_calibration(path)


def test_text_of_another_encoding_is_to_be_saved_anew(tmp_path):
    path = tmp_path / "stereo.yml"
    path.write_bytes("K1: [[1]]  # größer".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read_calibration(path)
