"""Ids: of the right shape, never twice, not even in a child that was forked."""

import os

from handoff_kit.ids import new_id, random8, random16


def test_ids_are_random_uuids_of_version_4():
    made = [new_id() for _ in range(5000)]
    assert len(set(made)) == 5000
    assert {(m.version, m.variant) for m in made} == {(4, "specified in RFC 4122")}


def test_a_forked_child_draws_other_bytes_than_its_parent():
    random8()  # Something is drawn ahead now.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, random16())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 16) != random16()
    os.close(reader)
