"""Usage and costs in buckets of time, in OpenAI's schema: what is asked for, and the page that answers it."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from creuset.core.errors import RequestError
from creuset.server.tenants.money.report import WIDTHS, UsageQuery
from creuset.server.tenants.money.windows import US
from creuset.types.fields import show

Row = dict[str, Any]
BUCKETS = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}  # default and largest number
MOST_DAYS = 180  # of costs
USAGE_KINDS = {"completions": ("completions",), "embeddings": ("embeddings", "rerank"), "moderations": ("moderations",)}
# What is not served here, and so was never used: its pages are empty.
UNUSED = ("audio_speeches", "audio_transcriptions", "code_interpreter_sessions", "file_search_calls", "images",
          "vector_stores", "web_search_calls")  # fmt: skip
GROUPED = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
COST_GROUPED = ("project_id", "user_id", "api_key_id", "line_item")
FILTERS = {"project_ids": "project_id", "user_ids": "user_id", "api_key_ids": "api_key_id", "models": "model",
           "line_items": "line_item"}  # fmt: skip


def bucket_query(
    request: Request, organization: str, widths: dict[str, tuple[int, int]], grouped: tuple[str, ...],
    kinds: tuple[str, ...], now: int,
) -> tuple[UsageQuery, int]:  # fmt: skip
    """What is asked for, and the number of the next page's first bucket; 0 where this page is the last."""
    given = request.query_params
    name = given.get("bucket_width", "1d")
    if name not in widths:
        raise RequestError(f"`bucket_width` must be one of {', '.join(widths)}, got {show(name)}", param="bucket_width")
    width, (plain, most) = WIDTHS[name], widths[name]
    start = _seconds(request, "start_time")
    if start is None:
        raise RequestError("`start_time` is required: Unix seconds", param="start_time")
    start = start // width * width
    end = _seconds(request, "end_time")
    if end is not None and end <= start:
        raise RequestError(f"`end_time` ({end}) must be after `start_time`", param="end_time")
    count = _seconds(request, "limit") or plain
    if not 1 <= count <= most:
        raise RequestError(f"`limit` must be between 1 and {most}, got {count}", param="limit")
    page = given.get("page", "")
    if page and not (page.startswith("page_") and page[5:].isdecimal() and len(page) < 16):
        raise RequestError(f"`page` is no cursor of this list: {show(page)}", param="page")
    first = int(page[5:]) if page else 0
    by = _many(request, "group_by")
    if unknown := [one for one in by if one not in grouped and one != "api_source"]:
        raise RequestError(f"`group_by` must be of {', '.join(grouped)}, got {show(unknown[0])}", param="group_by")
    only: dict[str, list[Any]] = {FILTERS[one]: many for one in FILTERS if (many := _many(request, one))}
    if "batch" in given:
        only["batch"] = [given["batch"] == "true"]
    total = max(0, -(-((end or now) - start) // width))
    count = max(0, min(count, total - first))
    stop = min(start + (first + count) * width, end or start + total * width)
    query = UsageQuery(
        organization=organization, start=(start + first * width) * US, end=stop * US, width=width,
        by=tuple(one for one in grouped if one in by), kinds=kinds, only=only,
    )  # fmt: skip
    return query, first + count if first + count < total else 0


def _seconds(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise RequestError(f"`{name}` must be a whole number, got {show(text)}", param=name)
    return int(text)


def _many(request: Request, name: str) -> list[str]:
    """As clients write lists: name[]=a&name[]=b, name=a&name=b, or name=a,b."""
    found = request.query_params.getlist(f"{name}[]") + request.query_params.getlist(name)
    return [part for text in found for part in (text.split(",") if name == "group_by" else [text])]


def bucket_page(query: UsageQuery, after: int, rows: list[Row], written: Callable[[Row], Row]) -> Row:
    """`after`: the number of the next page's first bucket; 0: there is none."""
    step = query.width * US
    buckets: list[Row] = [
        {"object": "bucket", "start_time": at // US, "end_time": min(at + step, query.end) // US, "results": []}
        for at in range(query.start, query.end, step)
    ]
    for row in rows:
        buckets[row["bucket"]]["results"].append(written(row))
    next_page = f"page_{after}" if after else None
    return {"object": "page", "data": buckets, "has_more": bool(after), "next_page": next_page}


def usage_row(kind: str, row: Row) -> Row:
    grouped: Row = {name: row.get(name) for name in GROUPED}
    found: Row = {"object": f"organization.usage.{kind}.result", "input_tokens": row["input"],
                  "num_model_requests": row["requests"], **grouped}  # fmt: skip
    if kind == "completions":
        found |= {
            "output_tokens": row["output"], "input_cached_tokens": row["cached"],
            "input_cache_write_tokens": row["cache_write"],
            "input_uncached_tokens": row["input"] - row["cached"] - row["cache_write"], "input_audio_tokens": 0,
            "output_audio_tokens": 0,
        }  # fmt: skip
    else:
        found = {name: value for name, value in found.items() if name not in ("batch", "service_tier")}
    return found


def cost_row(row: Row) -> Row:
    grouped: Row = {name: row.get(name) for name in COST_GROUPED}
    amount = {"value": row["amount"] / 1e6, "currency": row["currency"].lower()}
    line = {"quantity": row["quantity"], "quantity_unit": "tokens"} if "line_item" in row else {}
    return {"object": "organization.costs.result", "amount": amount, **grouped, **line}
