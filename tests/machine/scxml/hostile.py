"""Hostile documents by kind: each tries to take time, memory, or the process, in another way."""

# ruff: noqa: E501 - lines of documents
from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from tests.machine.scxml.documents import document

LONG = "'a' * 199990"
EMOJI = "'\U0001f600' * 199990"


def logged(text: str, language: str = "python", data: str = "") -> str:
    """A document that evaluates an expression as it begins."""
    model = f"<datamodel>{data}</datamodel>" if data else ""
    return document(
        f"{model}<state id='s'><onentry><log expr={quoteattr(text)}/></onentry></state>", datamodel=language
    )


def variables(**values: str) -> str:
    """Variables, by their expressions."""
    return "".join(f"<data id='{name}' expr={quoteattr(value)}/>" for name, value in values.items())


def repeated(content: str, language: str = "python", data: str = "") -> str:
    """A document with a timer of a millisecond, which runs content each time."""
    return document(
        f"<datamodel>{data}</datamodel><state id='a'><onentry><send event='t' delay='1ms'/></onentry>"
        f"<transition event='t' target='a'>{content}</transition></state>", datamodel=language,
    )  # fmt: skip


def regions(count: int, inside: str) -> str:
    """A parallel state; `@` is the number of its region."""
    return "<parallel id='p'>" + "".join(inside.replace("@", str(number)) for number in range(count)) + "</parallel>"


def invokes(text: str, times: int) -> str:
    """A state that starts a document so many times."""
    return f"<invoke><content>{escape(text)}</content></invoke>" * times


CHAIN = " <= ".join(["v", "w"] * 1500)
TWO_LONG = variables(v=f"{LONG} + 'b'", w=f"{LONG} + 'b'")
WIDE = "<state id='@a'><state id='@b'><transition {0} target='@c'/></state><state id='@c'><transition {0} target='@b'/></state></state>"
SELF = "<state id='a'>" + "<invoke><param name='d' expr='d'/><content expr='d'/></invoke>" * 12 + "</state>"
COPY = document(f"<datamodel><data id='d'/></datamodel>{SELF}")
FORK = document(f"<datamodel><data id='d' expr={quoteattr(repr(COPY))}/></datamodel>{SELF}")
SMALL = "<scxml><state id='k'/></scxml>"
CHATTERBOX = "<scxml><state id='k'><onentry><send event='n' delay='1ms'/></onentry><transition event='n' target='k'><send event='m' target='#_parent'/></transition></state></scxml>"

TIME = {
    "compares long texts in a loop": logged(f"[0 for i in range(2000) if {CHAIN}]", data=TWO_LONG),
    "compares long texts": logged("[v < w for i in range(150000)]", data=TWO_LONG),
    "equals long texts": logged("[v == w for i in range(150000)]", data=TWO_LONG),
    "looks for a text": logged("[(v + 'c') in w for i in range(100000)]", data=TWO_LONG),
    "finds a text": logged("[w.find(v) for i in range(100000)]", data=TWO_LONG),
    "counts a text": logged("[w.count('aaaab') for i in range(100000)]", data=TWO_LONG),
    "replaces a text": logged("[len(w.replace(v, '')) for i in range(100000)]", data=TWO_LONG),
    "strips by a long text": logged("[len(w.strip(v)) for i in range(100000)]", data=TWO_LONG),
    "begins with a text": logged("[w.startswith(v) for i in range(190000)]", data=TWO_LONG),
    "splits a text": logged("[len(v.split('a')) for i in range(1000)]", data=TWO_LONG),
    "upper case": logged("[len(v.upper()) for i in range(100000)]", data=TWO_LONG),
    "slices": logged("[len(v[::-1]) for i in range(100000)]", data=TWO_LONG),
    "sorts long texts": logged("sorted([v if i % 2 else w for i in range(50000)])", data=TWO_LONG),
    "greatest of long texts": logged("max([v if i % 2 else w for i in range(50000)])", data=TWO_LONG),
    "writes long numbers": logged("str([n for i in range(150000)])", data=variables(n="7 ** 3000")),
    "writes long texts": logged("str([v for i in range(100000)])", data=TWO_LONG),
    "joins long texts": logged("''.join([v for i in range(100000)])", data=TWO_LONG),
    "long products": logged("[n * n for i in range(150000)]", data=variables(n="7 ** 1500")),
    "long quotients": logged("[n // 3 % 7 for i in range(150000)]", data=variables(n="7 ** 3000")),
    "whole number of a long text": logged("[int(v) for i in range(100000)]", data=variables(v="'9' * 4000")),
    "fraction of a long text": logged("[float(v) for i in range(100000)]", data=variables(v="'9' * 199000")),
    "long expression in a loop": logged(f"[0 for i in range(190000) if {' + '.join(['i'] * 55)}]"),
    "many terms in a loop": logged(f"[0 for i in range(190000) if {' or '.join(['False'] * 1000)}]"),
    "loops of lists": logged("[len([1, 2, 3] + [i]) for i in range(199000)]"),
    "loops in loops of few": logged("[1 for a in range(50) for b in range(50) for c in range(50) for d in range(50)]"),
    "copies many variables": document("<datamodel>" + "".join(f"<data id='v{n}'/>" for n in range(15000)) + "</datamodel><state id='s'><onentry>" + "<log expr='[0 for i in []]'/>" * 2000 + "</onentry></state>"),
    "sums": logged("[sum(l) for i in range(20000)]", data=variables(l="range(20000)")),
    "all": logged("[all(l) for i in range(20000)]", data=variables(l="[1] * 20000")),
    "index": logged("[l.index(2) for i in range(20000)]", data=variables(l="[1] * 20000 + [2]")),
    "is in a list": logged("[2 in l for i in range(20000)]", data=variables(l="[1] * 20000")),
    "same part many times": logged("x == y", data=variables(a="[1, 1, 1, 1]", b="[a] * 100", c="[b] * 100", x="[c] * 100", y="[c] * 100")),
    "foreach of a foreach": document(f"<datamodel>{variables(l='range(3000)')}</datamodel><state id='s'><onentry><foreach array='l' item='i'><foreach array='l' item='j'><log/></foreach></foreach></onentry></state>"),
    "many conditions": document("<state id='s'>" + "<transition event='e' cond='False'/>" * 9000 + "<onentry>" + "<raise event='e'/>" * 9000 + "</onentry></state>"),
    "sends to itself": document("<state id='s'><onentry><send event='e'/></onentry><transition event='e'><send event='e'/><send event='e'/></transition></state>"),
    "raises twice": document("<state id='s'><onentry><raise event='e'/></onentry><transition event='e'><raise event='e'/><raise event='e'/></transition></state>"),
    "a circle in fifty regions": document(regions(50, WIDE.format(""))),
    "a circle of events in fifty regions": document(regions(50, "<state id='@x'><transition event='e' target='@x'><raise event='e'/></transition></state>").replace("<parallel id='p'>", "<parallel id='p'><onentry><raise event='e'/></onentry>")),
    "a circle through a wide state": document("<state id='z'><transition target='p'/></state>" + regions(50, "<state id='@x'/>").replace("</parallel>", "<transition target='z'/></parallel>")),
    "parallel in parallel": document("<parallel id='o'>" + "".join(regions(45, f"<state id='q{n}-@'><transition event='e' target='q{n}-@'/></state>").replace("id='p'", f"id='p{n}'") for n in range(40)) + "</parallel>"),
    "many targets": document(regions(50, "<state id='@x'/>").replace("'@", "'") + "<state id='z'>" + f"<transition event='e' target='{' '.join(f'{n}x' for n in range(50))}'/>" * 5000 + "</state>"),
    "many constants": document("<state id='s'><onentry>" + f"<log expr={quoteattr(LONG)}/>" * 19000 + "</onentry></state>"),
    "long constants": document("<state id='s'><onentry>" + f"<log expr={quoteattr(' + '.join(['1'] * 59))}/>" * 8000 + "</onentry></state>"),
    "constant of constants": logged("(" * 20 + "'a' * 9999" + "* 19 + 'a')" * 20),
    "many short expressions": document("<state id='s'>" + "<transition event='e' cond='a'/>" * 19900 + "</state>"),
    "many long expressions": document("<state id='s'><onentry>" + f"<log expr={quoteattr(' or '.join(['a'] * 1900))}/>" * 200 + "</onentry></state>"),
    "many values": document("<datamodel>" + "".join(f"<data id='v{n}'>{'(' * 40}1{')' * 40}</data>" for n in range(15000)) + "</datamodel><state/>"),
    "large JSON": document(f"<datamodel><data id='v'>[{','.join(['[]'] * 600000)}]</data></datamodel><state/>"),
    "comments without an end": document("<state id='s'><onentry>" + f"<log expr='{'/*' * 4900}'/>" * 180 + "</onentry></state>", datamodel="ecmascript"),
    "a deep document many times": document("<state id='s'><onentry>" + ("<if cond='False'>" * 90 + "</if>" * 90) * 200 + "</onentry></state>"),
    "histories of histories": document("<state id='o'>" + "".join(f"<history id='h{n}' type='deep'><transition target='s'/></history>" for n in range(1900)) + "<state id='s'><transition event='e' target='s'/></state></state>"),
    "eventless circle of histories": document("<state id='z'><transition target='h'/></state><state id='o'><history id='h'><transition target='i'/></history><state id='i'/><transition target='z'/></state>"),
    "ecma: compares": logged("(" + " && ".join(["v <= w"] * 400) + ")", "ecmascript", variables(v="'a'", w="'b'")),
    "ecma: joins": logged("l.join(l.join(l.join(l.join(','))))", "ecmascript", "<data id='l'>[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40]</data>"),
    "ecma: text that doubles": document("<datamodel><data id='v' expr=\"'x'\"/></datamodel><state id='s'><onentry>" + "<assign location='v' expr='v + v'/>" * 40 + "</onentry></state>", datamodel="ecmascript"),
    "ecma: array in itself": document("<datamodel><data id='v'>[]</data></datamodel><state id='s'><onentry><assign location='v[0]' expr='v'/><log expr=\"'' + v\"/></onentry></state>", datamodel="ecmascript"),
    "python: list in itself": document("<datamodel><data id='v' expr='[0]'/></datamodel><state id='s'><onentry><assign location='v[0]' expr='v'/><log expr='str(v)'/></onentry></state>"),
    "python: equal lists in themselves": document("<datamodel><data id='v' expr='[0]'/><data id='w' expr='[0]'/></datamodel><state id='s'><onentry><assign location='v[0]' expr='v'/><assign location='w[0]' expr='w'/><log expr='v == w'/></onentry></state>"),
}  # fmt: skip

MEMORY = {
    "a timer that appends": repeated(f"<assign location='v' expr='v + [{', '.join(['c * 199999'] * 6)}]'/>", data=variables(v="[]", c="'\U0001f600'")),
    "a timer that appends little": repeated("<assign location='v' expr='v + [0] * 5000'/>", data=variables(v="[]")),
    "a timer with new keys": repeated("<assign location='n' expr='n + 1'/><foreach array='range(800)' item='i'><assign location='v[n * 1000 + i]' expr='c * 9000'/></foreach>", data=variables(n="0", v="{}", c="'x'")),
    "a timer that logs": repeated("<log expr='c * 199999'/>", data=variables(c="'\U0001f600'")),
    "a timer that sends for later": repeated("<send event='u' delay='9h'><param name='d' expr='c * 199999'/></send>", data=variables(c="'\U0001f600'")),
    "a timer that sends to others for later": repeated("<send event='u' delay='9h' target='#_scxml_x'><param name='d' expr='c * 199999'/></send>", data=variables(c="'\U0001f600'")),
    "characters": logged("[list(v) for i in range(100)]", data=variables(v=EMOJI)),
    "ranges": logged("[range(190000) for i in range(1000)]"),
    "literals": logged(f"[{{{', '.join(f'{n}: {n}' for n in range(700))}}} for i in range(100000)]"),
    "lists in lists": logged(f"[[{', '.join(['i'] * 900)}] for i in range(100000)]"),
    "items": logged("[v.items() for i in range(1000)]", data="<data id='v'>{" + ", ".join(f'"{n}": {n}' for n in range(20000)) + "}</data>"),
    "pieces": logged("[v.split(' ') for i in range(1000)]", data=variables(v="'ab ' * 60000")),
    "slices of lists": logged("[v[1:] for i in range(1000)]", data=variables(v="[0] * 199000")),
    "sorted lists": logged("[sorted(v) for i in range(1000)]", data=variables(v="[0] * 100000")),
    "texts kept": logged("[v + str(i) for i in range(1000)]", data=variables(v=EMOJI)),
    "numbers kept": logged("[n + i for i in range(190000)]", data=variables(n="7 ** 3000")),
    "numbers that grow": repeated("<foreach array='range(900)' item='i'><assign location='n' expr='n + n'/></foreach>", data=variables(n="1")),
    "powers": logged("[i ** 9999 for i in range(99999)]"),
    "shifts": logged("[1 << i for i in range(99999)]"),
    "ecma: JSON of the same text": logged("JSON.stringify([" + ", ".join(["v"] * 800) + "])", "ecmascript", "<data id='v'>" + "a" * 190000 + "</data>"),
    "ecma: JSON of arrays": logged("JSON.parse(v)", "ecmascript", variables(v="'" + "[" + "[],".join([""] * 3000) + "0]'")),
    "ecma: concatenates": document("<datamodel><data id='v'>[1]</data></datamodel><state id='s'><onentry>" + "<assign location='v' expr='v.concat(v, v, v)'/>" * 20 + "</onentry></state>", datamodel="ecmascript"),
    "starts itself": FORK,
    "starts many": document(f"<state id='a'>{invokes(SMALL, 3000)}</state>"),
    "starts many chatterboxes": document(f"<state id='a'>{invokes(CHATTERBOX, 150)}</state>"),
    "starts large documents": document(f"<datamodel>{variables(d=repr('<scxml>' + '<state/>' * 1900 + '</scxml>'))}</datamodel><state id='a'>" + "".join(f"<invoke><content expr=\"d + ' ' * {n}\"/></invoke>" for n in range(200)) + "</state>"),
    "starts again and again": document("<state id='a'><invoke><content>" + escape("<scxml><final id='f'/></scxml>") + "</content></invoke><transition event='done.invoke' target='a'/></state>"),
    "hands much to children": document(f"<datamodel>{variables(v=EMOJI)}</datamodel><state id='a'>" + "".join("<invoke><param name='v' expr='v + str(0)'/><content>" + escape("<scxml><datamodel><data id='v'/></datamodel><state/></scxml>") + "</content></invoke>" for n in range(90)) + "</state>"),
    "many timers": document("<state id='s'><onentry><foreach array='range(18000)' item='i'><send event='t' delay='1h'/></foreach></onentry><transition event='t'><foreach array='range(18000)' item='i'><send event='t' delay='1h'/></foreach></transition></state>"),
    "attributes": "<scxml><state " + " ".join(f"a{n}=''" for n in range(150000)) + "/></scxml>",
    "text": "<scxml><state id='a'/>" + "x" * 1_900_000 + "</scxml>",
    "long ids": document("".join(f"<state id='{'a' * 900}{n}'/>" for n in range(1900))),
    "long event names": document("<state id='s'><onentry>" + f"<raise event='{'e.' * 45000}'/>" * 20 + "</onentry><transition event='*' target='s'/></state>"),
    "other names": "<scxml xmlns:x='u'>" + "<x:y><x:z/></x:y>" * 99000 + "<state/></scxml>",
    "many processing instructions": "<scxml>" + "<?a b?>" * 250000 + "<state/></scxml>",
    "many CDATA sections": "<scxml><datamodel><data id='v'>" + "<![CDATA[a]]>" * 140000 + "</data></datamodel><state/></scxml>",
    "many namespaces": "<scxml>" + "".join(f"<x{n}:a xmlns:x{n}='u{n}'/>" for n in range(19000)) + "<state/></scxml>",
}  # fmt: skip

CRASH = {
    "a cond of nothing": document("<state id='s'><transition cond='' target='pass'/></state>"),
    "a branch of nothing": document("<state id='s'><onentry><if cond=''><log/></if></onentry></state>"),
    "division by zero": logged("1 // 0"),
    "a shift to the left by less than nothing": logged("1 << -1"),
    "a number that is none": logged("int('x')"),
    "more digits than Python writes": logged("str(10 ** 3100)"),
    "infinite delay": document("<state id='s'><onentry><send event='e' delayexpr='1e400'/></onentry></state>"),
    "NaN as a delay": document("<state id='s'><onentry><send event='e' delayexpr=\"float('nan')\"/></onentry></state>"),
    "no key": logged("{[1]: 2}"),
    "surrogates": document("<state id='s'><onentry><log expr=\"'\\ud800'\"/></onentry></state>"),
    "NUL in a name": document("<state id='s'><onentry><raise event='a&#1;'/></onentry></state>"),
}  # fmt: skip

HOSTILE = {
    **{f"time: {name}": text for name, text in TIME.items()},
    **{f"memory: {name}": text for name, text in MEMORY.items()},
    **{f"crash: {name}": text for name, text in CRASH.items()},
}
HARMLESS = {  # nothing comes of them; the others end in an error
    "time: histories of histories", "time: ecma: array in itself", "memory: ecma: JSON of arrays", "memory: attributes",
    "memory: long ids", "memory: many processing instructions", "memory: many CDATA sections", "memory: many namespaces",
    *(f"crash: {name}" for name in CRASH),
}  # fmt: skip
