"""A loader made pausable is that loader in all else, with no agent there."""

import copy

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from carbonshift.training import pausable


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(4))


def test_it_has_the_loaders_batches_length_and_attributes():
    data = TensorDataset(torch.arange(10))
    loader, plain = (DataLoader(data, 4, shuffle=True, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    same = pausable(loader, epochs=2)
    for _ in range(2):
        assert [x.tolist() for (x,) in same] == [x.tolist() for (x,) in plain]
    assert (len(same), same.batch_size, same.dataset) == (3, 4, data)
    assert len(copy.copy(same)) == 3


def test_one_without_a_length_has_none_with_it_either():
    stream = pausable(DataLoader(Stream(), batch_size=2), epochs=3)
    assert [x.tolist() for x in stream] == [[0, 1], [2, 3]]
    with pytest.raises(TypeError):
        len(stream)
    assert pausable(x for x in ())
    with pytest.raises(TypeError, match=r"'generator' has no len\(\)"):
        len(pausable(x for x in ()))


def test_a_generator_left_early_goes_on_where_it_was():
    batches = pausable(x for x in range(5))
    for _ in batches:
        break
    assert list(batches) == [1, 2, 3, 4]


def test_an_empty_one_is_empty():
    assert not pausable([])


@pytest.mark.parametrize(
    "said", [{"epochs": -1}, {"epochs": 1.5}, {"steps_per_batch": 0}, {"steps_per_batch": float("nan")}]
)
def test_what_makes_no_sense_is_refused(said):
    with pytest.raises(ValueError, match=next(iter(said))):
        pausable([], **said)
