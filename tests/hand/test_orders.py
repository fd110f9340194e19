"""Other systems' orders: what goes there comes back, and each finger's joints are where their names say."""

import numpy as np
import pytest

from adapt.datasets.assembly_annotations import OURS_FROM_ASSEMBLY
from hand.joints import FINGERS, JOINTS
from hand.orders import ASSEMBLYHANDS, ORDERS, Order

FINGER_NAMES = {"thumb": "thumb", "index": "index", "middle": "middle", "ring": "ring", "little": "pinky"}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_what_goes_there_comes_back(order: Order):
    ours = np.random.default_rng(0).normal(size=(5, JOINTS, 3))
    back = order.to_ours(order.from_ours(ours))
    known = sorted({number for number in order.ours if number >= 0})
    np.testing.assert_array_equal(back[:, known], ours[:, known])
    unknown = sorted(set(range(JOINTS)) - set(known))
    assert np.isnan(back[:, unknown]).all()
    # UmeTrack's hand has no joint where the thumb begins; all others have every joint of ours.
    assert unknown == ([FINGERS["thumb"][0]] if order.name == "umetrack" else [])


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_names_and_numbers_tell_the_same_finger(order: Order):
    assert len(set(order.joints)) == len(order.joints)
    for name, number in zip(order.joints, order.ours, strict=True):
        if number < 0:
            continue
        finger = next((finger for finger, chain in FINGERS.items() if number in chain), None)
        words = name.lower()
        if finger is None:
            assert "wrist" in words
        else:
            assert FINGER_NAMES[finger] in words or finger in words, (name, number)
            assert ("tip" in words) == (number == FINGERS[finger][-1]) or order.name in ("assemblyhands", "mano"), name


def test_what_is_missing_there_is_marked():
    assert np.isnan(ORDERS["umetrack"].from_ours(np.zeros((JOINTS, 3)))[-1]).all()
    assert (ORDERS["openxr"].from_ours(np.zeros((JOINTS, 3)), missing=-1.0)[0] == -1).all()


def test_assemblyhands_is_the_order_that_its_data_is_read_with():
    np.testing.assert_array_equal(np.argsort(ASSEMBLYHANDS.ours), OURS_FROM_ASSEMBLY)
    assert OURS_FROM_ASSEMBLY == (20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16)
