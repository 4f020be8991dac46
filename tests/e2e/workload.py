"""Random puts, overwrites and deletes in a bucket, and the differences between it and its index."""

import random
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.stack import Stack

_WORKERS = 8
_DELETES = 0.2


def run(stack: Stack, keys: list[str], operations: int, seed: int) -> Counter[str]:
    """Do that many operations on the keys, several at a time; return the number of each kind.

    None of the keys exists before.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        # Each key belongs to one worker, so no two uploads of a key race.
        done = pool.map(
            lambda worker: _work(
                stack,
                keys[worker::_WORKERS],
                operations // _WORKERS + (worker < operations % _WORKERS),
                random.Random(f"{seed} {worker}"),  # noqa: S311 # no secret
            ),
            range(_WORKERS),
        )
        return sum(done, Counter())


def _work(stack: Stack, keys: list[str], operations: int, chance: random.Random) -> Counter[str]:
    done: Counter[str] = Counter()
    there: set[str] = set()
    for _ in range(operations):
        key = chance.choice(keys)
        if key in there and chance.random() < _DELETES:
            stack.delete(key)
            there.remove(key)
            done["deletes"] += 1
        else:
            stack.put(key, chance.randbytes(chance.randrange(64)))
            done["overwrites" if key in there else "puts"] += 1
            there.add(key)
    return done


def differences(stack: Stack, prefix: str) -> Mapping[str, tuple[object, object]]:
    """Return, for each key under the prefix that differs, what bucket and index have."""
    pages = stack.s3.get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    bucket = {
        found["Key"]: (found["ETag"].strip('"'), found["Size"])
        for page in pages
        for found in page.get("Contents", [])
    }
    index = {
        record.key: (record.known.etag, record.known.size)
        for record in stack.index.list_prefix(stack.bucket, prefix)
    }
    return {
        key: (bucket.get(key), index.get(key))
        for key in bucket.keys() | index.keys()
        if bucket.get(key) != index.get(key)
    }
