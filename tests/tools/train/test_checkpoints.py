"""A checkpoint holds all of a run's state and nothing is left beside it."""

from pathlib import Path

import torch

from tools.train.checkpoints import load_checkpoint, save_checkpoint


def trained_twin(seed: int) -> tuple[torch.nn.Module, torch.nn.Module, torch.optim.Optimizer]:
    """A small student after one step, its teacher and its optimiser."""
    torch.manual_seed(seed)
    student, teacher = (torch.nn.Sequential(torch.nn.Linear(50, 40), torch.nn.BatchNorm1d(40)) for _ in range(2))
    optimiser = torch.optim.AdamW(student.parameters(), lr=0.1)
    student(torch.randn(8, 50)).square().sum().backward()
    optimiser.step()
    return student, teacher, optimiser


def test_a_checkpoint_in_pieces_restores_everything(tmp_path):
    folder = tmp_path / "checkpoint"
    stored = trained_twin(0)
    for seen in (64, 128):
        save_checkpoint(folder, *stored, seen, piece_bytes=4096)
    pieces: list[Path] = list(folder.iterdir())
    assert len(pieces) > 2 and [path.name for path in tmp_path.iterdir()] == ["checkpoint"]

    loaded = trained_twin(1)
    assert load_checkpoint(folder, *loaded) == 128
    for mine, theirs in zip(loaded[:2], stored[:2], strict=True):
        for name, value in mine.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name]), name
    moments = [optimiser.state_dict()["state"] for _, _, optimiser in (loaded, stored)]
    for number, state in moments[1].items():
        for name, value in state.items():
            assert torch.equal(moments[0][number][name], value), name
