"""DynamoDB in memory: the operations that the measured programs use, and the units they consume."""

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from .conditions import holds

IDEMPOTENCY_TABLE = "idempotency"
"""The table of aws-lambda-powertools has the key `id`, every other table partition and key."""

_PAGE = 1024**2
_WRITE_UNIT = 1024
_READ_UNIT = 4096
_INSERT = re.compile(r"""INSERT INTO "(?P<table>[^"]+)" VALUE \{(?P<attributes>[^}]+)\}""")
_ATTRIBUTE = re.compile(r"'([^']+)': \?")
_SORT_KEY = re.compile(r"#partition = :partition(?: AND #key (.+))?")

Item = dict[str, Any]
Request = Mapping[str, Any]


class RequestError(Exception):
    """An error of the service, with its code and other fields of its answer."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields


class _Table:
    """Items by their key. Stored as JSON, because a million dictionaries need gigabytes."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, ...], bytes] = {}
        self._sorted: list[tuple[str, ...]] | None = []

    def get(self, key: tuple[str, ...]) -> Item:
        stored = self._items.get(key)
        return json.loads(stored) if stored else {}

    def put(self, key: tuple[str, ...], item: Item) -> None:
        if key not in self._items:
            self._sorted = None
        self._items[key] = json.dumps(item, separators=(",", ":")).encode()

    def delete(self, key: tuple[str, ...]) -> None:
        if self._items.pop(key, None):
            self._sorted = None

    def keys(self) -> list[tuple[str, ...]]:
        if self._sorted is None:
            self._sorted = sorted(self._items)
        return self._sorted


class Tables:
    """All tables, each made when it is first named, and what was consumed."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.write_units = 0
        self.read_units = 0.0
        self._tables: dict[str, _Table] = {}
        self._operations: dict[str, Callable[[Request], Any]] = {
            "PutItem": self._put_item,
            "GetItem": self._get_item,
            "UpdateItem": self._update_item,
            "DeleteItem": self._delete_item,
            "Query": self._query,
            "BatchWriteItem": self._batch_write_item,
            "BatchExecuteStatement": self._batch_execute_statement,
        }

    def answer(self, operation: str, request: Request) -> Any:
        """Perform an operation. Raises RequestError, also for what it does not know."""
        self.requests[operation] += 1
        try:
            return self._operations[operation](request)
        except (KeyError, ValueError) as error:
            raise RequestError("ValidationException", message=f"{operation}: {error}") from error

    def reset_counts(self) -> None:
        """Forget what was counted."""
        self.requests.clear()
        self.write_units = 0
        self.read_units = 0.0

    def fill(self, table_name: str, items: Sequence[Item]) -> None:
        """Put items without a request."""
        for item in items:
            self._table(table_name).put(_key(table_name, item), item)

    def _table(self, name: str) -> _Table:
        return self._tables.setdefault(name, _Table())

    def _put_item(self, request: Request) -> Any:
        name, item = request["TableName"], request["Item"]
        self._check(request, _key(name, item), item)
        self._table(name).put(_key(name, item), item)
        return {}

    def _check(self, request: Request, key: tuple[str, ...], item: Item) -> None:
        """Consume what the write costs. Raises RequestError if its condition does not hold."""
        standing = self._table(request["TableName"]).get(key)
        condition = request.get("ConditionExpression")
        if condition is not None and not holds(
            condition,
            standing,
            request.get("ExpressionAttributeNames", {}),
            request.get("ExpressionAttributeValues", {}),
        ):
            self.write_units += _write_units(standing)
            wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise RequestError(
                "ConditionalCheckFailedException",
                message="The conditional request failed",
                **{"Item": standing} if wanted and standing else {},
            )
        self.write_units += max(_write_units(standing), _write_units(item))

    def _get_item(self, request: Request) -> Any:
        key = _key(request["TableName"], request["Key"])
        item = self._table(request["TableName"]).get(key)
        units = max(1, ceil(item_size(item) / _READ_UNIT))
        self.read_units += units if request.get("ConsistentRead") else units / 2
        return {"Item": item} if item else {}

    def _update_item(self, request: Request) -> Any:
        """Perform `SET name = :value, …`."""
        key = _key(request["TableName"], request["Key"])
        item = {**self._table(request["TableName"]).get(key), **request["Key"]}
        names = request.get("ExpressionAttributeNames", {})
        values = request["ExpressionAttributeValues"]
        for part in request["UpdateExpression"].removeprefix("SET ").split(","):
            name, value = (operand.strip() for operand in part.split("="))
            item[names.get(name, name)] = values[value]
        self._check(request, key, item)
        self._table(request["TableName"]).put(key, item)
        return {}

    def _delete_item(self, request: Request) -> Any:
        key = _key(request["TableName"], request["Key"])
        self._check(request, key, {})
        self._table(request["TableName"]).delete(key)
        return {}

    def _batch_write_item(self, request: Request) -> Any:
        for name, writes in request["RequestItems"].items():
            for write in writes:
                self._put_item({"TableName": name, "Item": write["PutRequest"]["Item"]})
        return {"UnprocessedItems": {}}

    def _batch_execute_statement(self, request: Request) -> Any:
        return {"Responses": [self._insert(statement) for statement in request["Statements"]]}

    def _insert(self, statement: Request) -> Any:
        found = _INSERT.fullmatch(statement["Statement"])
        if found is None:
            raise ValueError(statement["Statement"])
        names = _ATTRIBUTE.findall(found["attributes"])
        item = dict(zip(names, statement["Parameters"], strict=True))
        name = found["table"]
        standing = self._table(name).get(_key(name, item))
        if standing:
            self.write_units += _write_units(standing)
            code = "DuplicateItem"
            return {"Error": {"Code": code, "Message": "Duplicate primary key exists in table"}}
        self.write_units += _write_units(item)
        self._table(name).put(_key(name, item), item)
        return {"TableName": name}

    def _query(self, request: Request) -> Any:
        """Return a page, of at most 1 MB before the filter, as DynamoDB does."""
        table = self._table(request["TableName"])
        keys = table.keys()
        low, high = _span(keys, request)
        forward = request.get("ScanIndexForward", True)
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        projection = request.get("ProjectionExpression")
        wanted = projection and [names.get(name, name) for name in re.split(r",\s*", projection)]
        items: list[Item] = []
        seen, size, last = 0, 0, None
        for place in range(low, high) if forward else range(high - 1, low - 1, -1):
            if size >= _PAGE or seen == request.get("Limit"):
                last = keys[place - 1 if forward else place + 1]
                break
            item = table.get(keys[place])
            seen += 1
            size += item_size(item)
            if holds(request.get("FilterExpression", "attribute_exists(key)"), item, names, values):
                items.append({n: item[n] for n in wanted if n in item} if wanted else item)
        else:
            # DynamoDB cannot know that nothing follows an item that reaches the limit.
            last = keys[high - 1 if forward else low] if seen == request.get("Limit") else None
        units = max(1, ceil(size / _READ_UNIT))
        self.read_units += units if request.get("ConsistentRead") else units / 2
        page: dict[str, Any] = {"Items": items, "Count": len(items), "ScannedCount": seen}
        if last:
            page["LastEvaluatedKey"] = {"partition": {"S": last[0]}, "key": {"S": last[1]}}
        return page


def _span(keys: list[tuple[str, ...]], request: Request) -> tuple[int, int]:
    """Return the places of the first key of a query and of the first one after it."""
    names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
    found = _SORT_KEY.fullmatch(request["KeyConditionExpression"])
    if found is None or names["#partition"] != "partition" or names.get("#key", "key") != "key":
        raise ValueError(request["KeyConditionExpression"])
    partition = values[":partition"]["S"]
    low, high = bisect_left(keys, (partition,)), bisect_left(keys, (partition + "\0",))
    match (found[1] or "").split():
        case []:
            pass
        case [">", value]:
            low = bisect_right(keys, (partition, values[value]["S"]))
        case ["<=", value]:
            high = bisect_right(keys, (partition, values[value]["S"]))
        case ["BETWEEN", first, "AND", last]:
            low = bisect_left(keys, (partition, values[first]["S"]))
            high = bisect_right(keys, (partition, values[last]["S"]))
        case _:
            raise ValueError(request["KeyConditionExpression"])
    if start := request.get("ExclusiveStartKey"):
        after = (partition, start["key"]["S"])
        if request.get("ScanIndexForward", True):
            low = max(low, bisect_right(keys, after))
        else:
            high = min(high, bisect_left(keys, after))
    return low, max(low, high)


def _key(table_name: str, item: Item) -> tuple[str, ...]:
    names = ("id",) if table_name == IDEMPOTENCY_TABLE else ("partition", "key")
    return tuple(item[name]["S"] for name in names)


def _write_units(item: Item) -> int:
    return max(1, ceil(item_size(item) / _WRITE_UNIT))


def item_size(item: Item) -> int:
    """Return the size of an item in bytes, about as DynamoDB counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return (len(value.strip("-0")) + 1) // 2 + 1
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(1 + len(n.encode()) + _size(v) for n, v in value.items())
        case _:
            raise ValueError(f"cannot tell the size of type {kind}")
