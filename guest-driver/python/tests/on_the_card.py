# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the package does on a card, against numpy. Run it in a guest that has one."""

import augur
import numpy as np


def refused(kind, action):
    """The message of an action that must raise this kind of exception."""
    try:
        action()
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was not raised")


def main():
    card = augur.open()
    assert card.information["compute_engines"] > 0
    random = np.random.default_rng(1)
    a_values = random.random((200, 300), dtype=np.float32)
    b_values = random.random((250, 300), dtype=np.float32)
    a, b, c = card.array(a_values), card.array(b_values), card.empty((200, 250))
    assert (c.numpy() == 0).all()

    with card.commands() as commands:
        commands.matmul(c, a, b.T)
    assert np.allclose(c.numpy(), a_values @ b_values.T, rtol=1e-4)
    with card.commands() as commands:
        commands.softmax(c, c, axis=1)
    assert np.allclose(c.numpy().sum(axis=1), 1, atol=1e-5)

    small = random.integers(-128, 128, (30, 40), dtype=np.int8)
    turned = random.integers(-128, 128, (40, 50), dtype=np.int8)
    sums = card.empty((30, 50), np.int32)
    with card.commands() as commands:
        commands.matmul(sums, card.array(small), card.array(turned))
    assert (sums.numpy() == small.astype(np.int32) @ turned.astype(np.int32)).all()

    # The same bytes, through the aperture, and views of them.
    mapped = a.map()
    assert (mapped == a_values).all()
    mapped[3, 4] = 7
    assert a.numpy()[3, 4] == 7
    del a
    assert mapped[3, 4] == 7, "the mapping outlives the array"
    part = b[10:20:3, ::7]
    assert (part.numpy() == b_values[10:20:3, ::7]).all()
    part.set(np.zeros(part.shape, np.float32))
    assert (b.map()[10:20:3, ::7] == 0).all() and b.numpy()[11, 0] == b_values[11, 0]

    rows = np.array([5, 0, 5], np.int32)
    listed = card.empty((3, 300))
    with card.commands() as commands:
        commands.gather(listed, b, card.array(rows))
    assert (listed.numpy() == b.numpy()[rows]).all()

    # Factored and solved by lists that are submitted together; copied by another device.
    symmetric = np.eye(48, dtype=np.float32) * 48 + np.float32(0.5)
    right = random.random((3, 48), dtype=np.float32)
    factor, solved = card.array(symmetric), card.array(right)
    rest = card.array(right)
    factor.advise("sequential")
    card.set_priority("low")
    first, second, third = card.commands(), card.commands(), card.commands()
    first.cholesky(factor)
    second.triangular_solve(solved, factor)
    third.matmul_subtract(rest, solved, factor.T)
    card.run(first, second, third)
    rest.wait(timeout=600)
    assert np.allclose(factor.numpy(), np.linalg.cholesky(symmetric), rtol=1e-4, atol=1e-4)
    other = augur.open()
    assert np.allclose(rest.to(other).numpy(), 0, atol=1e-4)
    assert (solved[1:, ::2].to(other).numpy() == solved.numpy()[1:, ::2]).all()
    # The first queue's commands wait for the last's, which share no memory with them.
    timeline = card.timeline()
    early, late = card.commands(), card.commands()
    early.fill(factor, 1)
    late.fill(rest, 2)
    refused(OSError, lambda: card.submit(early, after=[timeline.at(1)]))
    queue = card.information["submit_queues"] - 1
    first = card.submit(late, queue=queue, passes=[timeline.at(1)])
    card.submit(early, after=[timeline.at(1)], passes=[timeline.at(2)])
    timeline.wait(2, timeout=600)
    first.wait(timeout=0)
    assert (factor.map() == 1).all() and (rest.map() == 2).all()
    refused(augur.TimedOut, lambda: timeline.wait(3, timeout=0.001))
    timeline.signal(3)
    timeline.wait(3)

    refused(ValueError, lambda: factor.advise("often"))
    refused(ValueError, lambda: card.run())

    refused(ValueError, lambda: card.commands().add(b, b, c))
    refused(ValueError, lambda: card.empty((4,), np.float64))
    refused(augur.NoMemory, lambda: card.empty((1 << 31,), np.float32))
    lost = card.commands()
    lost.gather(listed, b, card.array(np.array([0, 250, 0], np.int32)))
    refused(augur.ListFailed, lost.run)
    print("python: all right")


if __name__ == "__main__":
    main()
