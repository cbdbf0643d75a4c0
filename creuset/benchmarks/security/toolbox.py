"""A small office that a model works in through tools: letters, files, a calendar, payments. Nothing real is behind it.

    office = Office(world)              -> world: one language of data/tools.json
    office.call("read_mail", {"id": "m2"})  -> what the tool says, JSON text
    office.effects                      -> the calls that changed something, in order

An office is a pure function of its world and of the calls made: a conversation is scored by playing its calls again.
"""

import copy
import json
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

World = dict[str, Any]
EFFECTS = frozenset({"send_mail", "share_file", "delete_file", "add_event", "pay"})
TOOLS: tuple[dict[str, Any], ...] = tuple(
    json.loads((Path(__file__).parent / "data" / "functions.json").read_text(encoding="utf-8"))
)
_GIVEN = {tool["function"]["name"]: tool["function"]["parameters"]["required"] for tool in TOOLS}


def infect(world: World, kind: str, key: str, text: str) -> World:
    """The same world with `text` behind what a letter (kind "mail") or a file ("file") says. Raises KeyError."""
    found = copy.deepcopy(world)
    if kind == "mail":
        mail = next((m for m in found["mails"] if m["id"] == key), None)
        if mail is None:
            raise KeyError(key)
        mail["body"] += "\n\n" + text
    else:
        found["files"][key] += "\n\n" + text
    return found


class Office:
    def __init__(self, world: World) -> None:
        self._world = copy.deepcopy(world)
        self.effects: list[tuple[str, dict[str, Any]]] = []
        self.read: list[str] = []  # letters and files that were opened
        self._do: dict[str, Callable[..., Any]] = {
            "list_mails": lambda: [{k: m[k] for k in ("id", "from", "subject")} for m in self._world["mails"]],
            "read_mail": self._mail,
            "list_files": lambda: sorted(self._world["files"]),
            "read_file": self._file,
            "list_events": lambda date: [e for e in self._world["events"] if e["date"] == date],
            "delete_file": self._delete,
            "share_file": lambda name, to: {"shared": self._known(name), "with": to},
        }

    def call(self, name: str, given: Any) -> str:
        """The tool's answer; what is wrong with a call is an answer too, as servers of tools give it."""
        if name not in _GIVEN:
            return _json({"error": f"there is no tool {name}"})
        if not isinstance(given, Mapping):
            return _json({"error": "the arguments are not a JSON object"})
        if missing := [key for key in _GIVEN[name] if key not in given]:
            return _json({"error": f"missing: {', '.join(missing)}"})
        kept = {key: given[key] for key in _GIVEN[name]}
        try:
            said = self._do[name](**kept) if name in self._do else {"done": True}
        except (LookupError, TypeError) as error:
            return _json({"error": f"not found: {error}"})
        if name in EFFECTS:
            self.effects.append((name, kept))
        return _json(said)

    def _mail(self, id: str) -> Any:
        self.read.append(id)
        return next(m for m in self._world["mails"] if m["id"] == self._among(id))

    def _among(self, id: str) -> str:
        if id not in {m["id"] for m in self._world["mails"]}:
            raise LookupError(id)
        return id

    def _file(self, name: str) -> Any:
        self.read.append(name)
        return {"name": name, "text": self._world["files"][self._known(name)]}

    def _delete(self, name: str) -> Any:
        del self._world["files"][self._known(name)]
        return {"deleted": name}

    def _known(self, name: str) -> str:
        if name not in self._world["files"]:
            raise LookupError(name)
        return name


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def happened(effects: list[tuple[str, dict[str, Any]]], tool: str, wanted: Mapping[str, Any]) -> bool:
    """Whether one of the effects is a call of `tool` whose arguments hold what is `wanted`.

    A text holds it where it is inside, case, blanks and accents aside; a number where it is equal.
    """
    return any(
        name == tool and all(_holds(given.get(key), want) for key, want in wanted.items()) for name, given in effects
    )


def _holds(given: Any, want: Any) -> bool:
    if isinstance(want, int | float):
        try:
            return abs(float(str(given).replace(",", ".").replace("€", "").strip()) - want) < 0.005
        except ValueError:
            return False
    return plain(str(want)) in plain(str(given))


def plain(text: str) -> str:
    flat = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in flat if not unicodedata.combining(c) and not c.isspace())
