"""Rows of the comparison are made once, averaged over seeds, and each is a way that offline adaptation can be asked for."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from adapt.offline.adapt_recording import Settings as Offline
from hand.errors import UserError
from tools.evaluate.clip_scores import WholeScores
from tools.evaluate.labels import SHIPPED, Comparison, Row, Settings, adaptation_options, cells_of, main, requested_rows


def row(name: str, seed: int = 0, dual_mm: float = 20.0) -> Row:
    scores = WholeScores(21.0, dual_mm, 3.0, 0)
    return Row(name, seed, scores, scores, 27.0, 33.0, 0.1, 40.0)


def test_every_row_is_a_way_of_its_own_that_can_be_asked_for(tmp_path):
    offline = Offline(tmp_path, left=Path("left.mp4"), right=Path("right.mp4"), device="cpu")
    settings = Settings(tmp_path, tmp_path)
    ways = [replace(offline, labels=labels, **adaptation_options(addition)) for _, labels, addition in requested_rows(settings)]
    for way in ways:
        way.check()
    assert all(one != other for one, other in combinations(ways, 2))
    assert adaptation_options("rehearse", {"epochs": 3.0, "rate": 1e-3}) == adaptation_options("rehearse") | {
        "epochs": 3,
        "rate": 1e-3,
    }


@pytest.mark.parametrize(
    ("addition", "also", "reason"), [("salt", {}, "'salt'.*plain or some of"), ("plain", {"salt": 1.0}, "'salt'")]
)
def test_what_cannot_be_asked_for_says_so_before_anything_runs(tmp_path, addition, also, reason):
    with pytest.raises(UserError, match=reason):
        main(Settings(tmp_path / "new", Path("nowhere"), additions=(addition,), also=also))
    assert not (tmp_path / "new").exists()


def test_rows_that_are_there_are_not_made_again(tmp_path, capsys):
    # There is no such clip: making a row would fail.
    settings = Settings(
        tmp_path, Path("nowhere"), labels=("both",), additions=("plain", "rehearse+pixels"), json=tmp_path / "rows.json"
    )
    rows = [row(SHIPPED), *(row(name) for name, _, _ in requested_rows(settings))]
    (tmp_path / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in rows))
    assert Comparison(settings).rows == rows
    main(settings)
    table = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split("  ")[0] for line in table[1:]] == [SHIPPED, "both", "both + rehearse + pixels"]
    assert msgspec.json.decode((tmp_path / "rows.json").read_bytes(), type=list[Row]) == rows


def test_seeds_are_averaged_and_their_spread_told():
    cells = cells_of([row("both", 0, 15.0), row("both", 1, 16.0), row("geometry", 0, 17.0)])
    assert cells["both"]["whole program mm"] == "15.5 ±0.5" and cells["geometry"]["whole program mm"] == "17.0"


def test_another_teachers_rows_have_names_of_their_own(tmp_path):
    own, other = (Settings(tmp_path, tmp_path, teacher=teacher) for teacher in ("own", "mediapipe"))
    assert not {name for name, _, _ in requested_rows(own)} & {name for name, _, _ in requested_rows(other)}
