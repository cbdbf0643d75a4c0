"""`creuset prices`: what tokens cost on this server. Its own prices stand before the list that is shipped.

Exit codes: 0 done, 2 what was asked cannot be, 3 the file is no price file.
"""

import argparse
from pathlib import Path

from creuset.cli.tenants.directory import Row, add_place, tell
from creuset.cli.tenants.money import opened_books


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    change = verbs.add_parser("set", help="this server's own prices, in the place of those before")
    change.add_argument("file", type=Path, metavar="FILE", help="TOML, as creuset/evals/prices.toml")
    listed = verbs.add_parser("list", help="the prices that hold")
    for one in (change, listed):
        add_place(one)


def main(args: argparse.Namespace) -> int:
    from creuset.server.tenants.audited import MoneyAudit
    from creuset.server.tenants.money.prices import read_prices, shipped_prices
    from creuset.server.tenants.money.rules import read_settings, set_prices

    with opened_books(args) as (database, organization):
        if args.action == "set":
            prices = read_prices(args.file)
            with database.transaction() as connection:
                set_prices(connection, prices)
                MoneyAudit(organization).prices(connection, prices)
            tell(args, [_shown(one) for one in prices])
            return 0
        with database.reading() as connection:
            own = read_settings(connection).prices
    rows = [*(("own", one) for one in own), *(("list", one) for one in shipped_prices())]
    tell(args, [{"set": place} | _shown(one) for place, one in rows])
    return 0


def _shown(price: object) -> Row:
    from creuset.server.tenants.money.prices import Tariff, as_money

    assert isinstance(price, Tariff)
    rates = price.tiers["default"][0]
    return {
        "names": ", ".join(price.names), "input": as_money(rates.input, price.currency),
        "output": as_money(rates.output, price.currency), "cached_input": as_money(rates.cached_input, price.currency),
        "tiers": ", ".join(price.tiers), "since": price.since, "version": price.version, "source": price.source,
    }  # fmt: skip
