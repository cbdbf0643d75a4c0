"""Numbers: arithmetic with steps, comparing (decimals too), sorting, counting, units, days and months.

Source: written by this rule. Licence: Apache-2.0.
Teaches: to show the step that makes the answer sure, and to say the answer last.
Every answer is computed here and computed again, another way, by the tests.
"""

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from mini_instructions.base import Dialogue, Made, Provenance, Rule, casual, repeated
from mini_instructions.lists import count_items, join_list, pick_from_list, sort_words
from mini_instructions.shelf import Shelf
from mini_instructions.words import DAYS, MONTH_DAYS, MONTHS, NAMES, ORDINALS, TABLES, THINGS

UNITS = (
    ("minute", "seconds", 60),
    ("hour", "minutes", 60),
    ("day", "hours", 24),
    ("week", "days", 7),
    ("year", "months", 12),
    ("meter", "centimeters", 100),
    ("kilometer", "meters", 1000),
    ("kilogram", "grams", 1000),
    ("liter", "milliliters", 1000),
    ("dozen", "things", 12),
    ("century", "years", 100),
    ("decade", "years", 10),
    ("centimeter", "millimeters", 10),
    ("euro", "cents", 100),
    ("dollar", "cents", 100),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ONES = TABLES["small_en"]


def in_words(number: int) -> str:
    """0 to 999 in English words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    rest = number % 100
    return f"{ONES[number // 100]} hundred" + (f" and {in_words(rest)}" if rest else "")


def _ask(question: str, answer: str) -> Dialogue:
    return Provenance("numbers", group=f"numbers:{question.lower()}").ask(question, answer)


def _sum_ask(rng: Random, expression: str, words: str) -> str:
    return rng.choice(
        (
            f"What is {expression}?",
            f"{expression} = ?",
            f"Calculate {expression}.",
            f"How much is {expression}?",
            f"{expression}",
            f"what's {expression}",
            f"What is {words}?",
            f"Can you compute {expression}?",
            f"{expression}=",
            f"Solve: {expression}",
        )
    )


def add(rng: Random) -> Dialogue:
    top = rng.choice((10, 10, 20, 50, 100, 100))
    a, b = rng.randint(0 if top == 10 else 2, top), rng.randint(1, top)
    ask = _sum_ask(rng, f"{a} + {b}", f"{a} plus {b}")
    return _ask(ask, add_steps(a, b))


def add_steps(a: int, b: int) -> str:
    """`47 + 35 = 82`, with the tens and the ones when they matter."""
    if a < 10 or b < 10:
        return f"{a} + {b} = {a + b}"
    tens, ones = a // 10 * 10 + b // 10 * 10, a % 10 + b % 10
    parts = f"{a // 10 * 10} + {b // 10 * 10} = {tens}, and {a % 10} + {b % 10} = {ones}."
    return f"{parts} {tens} + {ones} = {a + b}. So {a} + {b} = {a + b}."


def subtract(rng: Random) -> Dialogue:
    top = rng.choice((10, 20, 20, 50, 100))
    a, b = sorted((rng.randint(1, top), rng.randint(0, top)), reverse=True)
    ask = _sum_ask(rng, f"{a} - {b}", f"{a} minus {b}")
    if b >= 10 and b % 10:
        middle = a - b // 10 * 10
        return _ask(ask, f"{a} - {b // 10 * 10} = {middle}, and {middle} - {b % 10} = {a - b}. So {a} - {b} = {a - b}.")
    return _ask(ask, f"{a} - {b} = {a - b}")


def multiply(rng: Random) -> Dialogue:
    sign = rng.choice(("x", "*", "×", "times"))
    if rng.random() < 0.75:
        a, b = rng.randint(0, 12), rng.randint(1, 12)
        return _ask(_sum_ask(rng, f"{a} {sign} {b}", f"{a} times {b}"), f"{a} x {b} = {a * b}")
    a, b = rng.randint(13, 99), rng.randint(2, 9)
    tens, ones = a // 10 * 10, a % 10
    if ones == 0:
        return _ask(_sum_ask(rng, f"{a} {sign} {b}", f"{a} times {b}"), f"{a} x {b} = {a * b}")
    parts = f"{tens} x {b} = {tens * b}, and {ones} x {b} = {ones * b}. {tens * b} + {ones * b} = {a * b}."
    return _ask(_sum_ask(rng, f"{a} {sign} {b}", f"{a} times {b}"), f"{parts} So {a} x {b} = {a * b}.")


def divide(rng: Random) -> Dialogue:
    b, q = rng.randint(2, 12), rng.randint(1, 12)
    ask = _sum_ask(rng, f"{b * q} {rng.choice(('/', '÷', ':'))} {b}", f"{b * q} divided by {b}")
    return _ask(ask, f"{b * q} / {b} = {q}, because {q} x {b} = {b * q}.")


def half_double(rng: Random) -> Dialogue:
    n = rng.randint(1, 50)
    if rng.random() < 0.5:
        return _ask(rng.choice((f"What is double {n}?", f"What is twice {n}?")), f"Double {n} is {2 * n}.")
    return _ask(f"What is half of {2 * n}?", f"Half of {2 * n} is {n}.")


def decimals(rng: Random) -> tuple[str, str]:
    """Two different decimals that are easy to misread: 9.11 and 9.8."""
    whole = rng.randint(0, 20)
    while True:
        a, b = (f"{whole}.{rng.randint(1, 99) if rng.random() < 0.6 else rng.randint(1, 9)}" for _ in range(2))
        if Decimal(a) != Decimal(b) and not a.endswith("0") and not b.endswith("0"):
            return a, b


def compare(rng: Random) -> Dialogue:
    if rng.random() < 0.5:
        a, b = decimals(rng)
        larger = max(a, b, key=Decimal)
        smaller = b if larger == a else a
        places = max(len(x.split(".")[1]) for x in (a, b))
        same = [f"{Decimal(x):.{places}f}" for x in (larger, smaller)]
        tail = (
            f" Written with the same number of decimals: {same[0]} and {same[1]}." if same != [larger, smaller] else ""
        )
    else:
        top = rng.choice((20, 100, 1000))
        x, y = rng.sample(range(top), 2)
        a, b, tail = str(x), str(y), ""
        larger, smaller = str(max(x, y)), str(min(x, y))
    style = rng.random()
    if style < 0.6:
        ask = rng.choice(
            (
                "Which number is larger, {a} or {b}?",
                "Which is bigger, {a} or {b}?",
                "What is greater: {a} or {b}?",
                "Is {a} or {b} the larger number?",
            )
        )
        return _ask(ask.replace("{a}", a).replace("{b}", b), f"{larger} is larger than {smaller}.{tail}")
    if style < 0.8:
        ask = rng.choice(("Which number is smaller, {a} or {b}?", "Which is less, {a} or {b}?"))
        return _ask(ask.replace("{a}", a).replace("{b}", b), f"{smaller} is smaller than {larger}.{tail}")
    more = rng.random() < 0.5
    truth = (Decimal(a) > Decimal(b)) is more
    word = "larger" if more else "smaller"
    verdict = f"{larger} is larger than {smaller}." if more else f"{smaller} is smaller than {larger}."
    return _ask(f"Is {a} {word} than {b}?", f"{'Yes' if truth else 'No'}. {verdict}")


def order(rng: Random) -> Dialogue:
    numbers = rng.sample(range(rng.choice((10, 50, 100))), rng.randint(3, 5))
    down = rng.random() < 0.35
    text = ", ".join(map(str, numbers))
    way = rng.choice(
        ("from largest to smallest", "in descending order")
        if down
        else ("from smallest to largest", "in ascending order", "in order")
    )
    ask = rng.choice((f"Sort these numbers {way}: {text}", f"Put {text} {way}.", f"Order these numbers {way}: {text}."))
    return _ask(ask, ", ".join(map(str, sorted(numbers, reverse=down))))


def extreme(rng: Random) -> Dialogue:
    numbers = rng.sample(range(100), rng.randint(3, 5))
    big = rng.random() < 0.5
    text = ", ".join(map(str, numbers))
    word = rng.choice(("largest", "biggest")) if big else "smallest"
    return _ask(
        rng.choice(
            (
                f"What is the {word} of these numbers: {text}?",
                f"Which number is the {word}? {text}",
                f"Find the {word} number: {text}",
            )
        ),
        f"The {word} number is {max(numbers) if big else min(numbers)}.",
    )


def sequence(rng: Random) -> Dialogue:
    if rng.random() < 0.4:
        n = rng.randint(3, 20)
        return _ask(
            rng.choice((f"Count to {n}.", f"Count from 1 to {n}.", f"Can you count to {n}?")),
            ", ".join(str(i) for i in range(1, n + 1)),
        )
    start, step = rng.randint(0, 20), rng.choice((1, 2, 2, 3, 5, 10))
    shown = [start + step * i for i in range(4)]
    ask = rng.choice(("What comes next: {l}, ...?", "What is the next number? {l}", "Continue: {l}, ...")).replace(
        "{l}", ", ".join(map(str, shown))
    )
    return _ask(ask, f"Each number is {step} more than the one before. The next number is {shown[-1] + step}.")


def neighbours(rng: Random) -> Dialogue:
    n = rng.randint(1, 200)
    if rng.random() < 0.5:
        return _ask(
            rng.choice((f"What number comes after {n}?", f"Which number follows {n}?")),
            f"The number after {n} is {n + 1}.",
        )
    return _ask(f"What number comes before {n}?", f"The number before {n} is {n - 1}.")


def parity(rng: Random) -> Dialogue:
    n = rng.randint(0, 200)
    kind = "odd" if n % 2 else "even"
    if rng.random() < 0.6:
        return _ask(f"Is {n} even or odd?", f"{n} is {kind}, because it ends in {n % 10}.")
    asked = rng.choice(("even", "odd"))
    return _ask(f"Is {n} an {asked} number?", f"{'Yes' if asked == kind else 'No'}, {n} is {kind}.")


def words_and_digits(rng: Random) -> Dialogue:
    n = rng.randint(0, 999) if rng.random() < 0.4 else rng.randint(0, 100)
    if rng.random() < 0.6:
        return _ask(
            rng.choice((f"Write {n} in words.", f"How do you write {n} in words?", f"Spell the number {n}.")),
            in_words(n),
        )
    return _ask(rng.choice((f'Write "{in_words(n)}" as a number.', f"Write {in_words(n)} in digits.")), str(n))


def units(rng: Random) -> Dialogue:
    one, small, many = rng.choice(UNITS)
    n = rng.choice((1, 1, 1, 2, 3, 4, 5, 10))
    plural = one if n == 1 else {"century": "centuries", "dozen": "dozen"}.get(one, one + "s")
    ask = rng.choice(
        (
            f"How many {small} are in {'one' if n == 1 else n} {plural}?",
            f"How many {small} are there in {n if n > 1 else 'a' if one[0] != 'h' else 'an'} {plural}?",
        )
    )
    article = "An" if one[0] == "h" else "A"
    fact = f"{article} {one} has {many} {small}."
    verb = "is" if one == "dozen" else "are"
    steps = f" {n} x {many} = {n * many}, so {n} {plural} {verb} {n * many} {small}." if n > 1 else ""
    return _ask(casual(rng, ask), fact + steps)


def calendar(rng: Random) -> Dialogue:
    style = rng.randrange(7)
    if style < 2:
        names = DAYS if rng.random() < 0.6 else MONTHS
        at = rng.randrange(len(names))
        after = rng.random() < 0.6
        other = names[(at + (1 if after else -1)) % len(names)]
        kind = "day" if names is DAYS else "month"
        word = "after" if after else "before"
        return _ask(
            casual(rng, rng.choice((f"What {kind} comes {word} {names[at]}?", f"Which {kind} is {word} {names[at]}?"))),
            f"The {kind} {word} {names[at]} is {other}.",
        )
    if style == 2:
        at, plus = rng.randrange(7), rng.randint(2, 6)
        path = [DAYS[(at + i) % 7] for i in range(1, plus + 1)]
        return _ask(
            f"Today is {DAYS[at]}. What day is it in {plus} days?",
            f"{', '.join(path)}. In {plus} days it is {path[-1]}.",
        )
    if style == 3:
        at = rng.randrange(12)
        february = " In a leap year it has 29." if at == 1 else ""
        return _ask(
            casual(rng, f"How many days are in {MONTHS[at]}?"), f"{MONTHS[at]} has {MONTH_DAYS[at]} days.{february}"
        )
    if style == 4:
        at = rng.randrange(12)
        return _ask(
            f"Which month is the {ORDINALS[at]} month of the year?",
            f"The {ORDINALS[at]} month of the year is {MONTHS[at]}.",
        )
    if style == 5:
        at = rng.randrange(7)
        weekend = at > 4
        return _ask(
            f"Is {DAYS[at]} on the weekend?",
            f"Yes, {DAYS[at]} is on the weekend." if weekend else f"No, {DAYS[at]} is a weekday.",
        )
    at = rng.randrange(7)
    return _ask(
        f"If yesterday was {DAYS[at]}, what day is today?",
        f"If yesterday was {DAYS[at]}, today is {DAYS[(at + 1) % 7]}.",
    )


def story_sum(rng: Random) -> Dialogue:
    """A word problem of one or two steps."""
    name, other = rng.sample(NAMES, 2)
    one, many = rng.choice(THINGS).split("/")
    a, b = rng.randint(2, 20), rng.randint(2, 20)
    style = rng.randrange(5)
    if style == 0:
        return _ask(
            f"{name} has {a} {many}. {other} gives {name} {b} more. How many {many} does {name} have now?",
            f"{a} + {b} = {a + b}. {name} has {a + b} {many} now.",
        )
    if style == 1:
        total = a + b
        left = f"{a} {one if a == 1 else many}"
        return _ask(
            f"{name} has {total} {many} and gives {b} to {other}. How many are left?",
            f"{total} - {b} = {a}. {name} has {left} left.",
        )
    if style == 2:
        a, b = rng.randint(2, 9), rng.randint(2, 10)
        return _ask(
            f"There are {a} boxes with {b} {many} in each box. How many {many} are there?",
            f"{a} x {b} = {a * b}. There are {a * b} {many}.",
        )
    if style == 3:
        a, b = rng.randint(2, 9), rng.randint(2, 10)
        return _ask(
            f"{name} shares {a * b} {many} among {a} friends. How many does each friend get?",
            f"{a * b} / {a} = {b}. Each friend gets {b} {many}.",
        )
    c = rng.randint(1, a + b - 1)
    rest = a + b - c
    return _ask(
        f"{name} has {a} {many}, buys {b} more and loses {c}. How many {many} does {name} have?",
        f"First, {a} + {b} = {a + b}. Then {a + b} - {c} = {rest}. {name} has {rest} {one if rest == 1 else many}.",
    )


MAKERS = (
    add,
    subtract,
    multiply,
    divide,
    compare,
    add,
    subtract,
    multiply,
    half_double,
    compare,
    order,
    extreme,
    sequence,
    neighbours,
    parity,
    words_and_digits,
    units,
    calendar,
    story_sum,
    story_sum,
    count_items,
    sort_words,
    pick_from_list,
    join_list,
    calendar,
)


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    yield from repeated(rng, count, MAKERS)


RULE = Rule("numbers", "small arithmetic with steps, comparing, sorting, counting, units, calendar", 13_000, make)
