"""Reads charts as an eye does: what a point is worth, told from its place between labelled lines."""

import math
import re
from html import unescape
from html.parser import HTMLParser

LOW_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹\N{MINUS SIGN}", "-0123456789-")


def worth(label):
    """Read the number of a label, such as 0.75, 10⁻³ or 2·10⁻³."""
    plain = label.replace(",", "")
    found = re.fullmatch(r"(?:(.+)·)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", plain)
    if found is None:
        return float(plain.translate(LOW_DIGITS))
    return float((found[1] or "1").translate(LOW_DIGITS) + "e" + found[2].translate(LOW_DIGITS))


def between(place, marks):
    """Tell what stands at a place, given (place, value) of two marks of a linear axis."""
    (a, low), (b, high) = marks[0], marks[-1]
    return low + (place - a) / (b - a) * (high - low)


def points(svg, css, *, is_log=False):
    """Read (epoch, value) of every dot of a curve."""
    ticks = re.findall(r'<text class="y" x="[\d.]+" y="([\d.]+)">([^<]+)<', svg)
    ys = [(float(y) - 4, worth(label)) for y, label in ticks]
    if is_log:
        ys = [(y, math.log10(value)) for y, value in ys]
    xs = [(float(x), worth(n)) for x, n in re.findall(r'<text x="([\d.]+)" y="\d+">([\d,]+)<', svg)]
    dots = re.findall(rf'<circle class="{css}" cx="([\d.]+)" cy="([\d.]+)"', svg)
    read = [(between(float(x), xs), between(float(y), ys)) for x, y in dots]
    return [(x, 10**y if is_log else y) for x, y in read]


def svgs(page, label):
    """Find the charts of a page whose description begins with a label."""
    found = re.findall(r'<svg[^>]*aria-label="([^"]*)"[^>]*>(.*?)</svg>', page, re.DOTALL)
    return [svg for name, svg in found if unescape(name).startswith(label)]


def text(page):
    """Give what a page says, without its markup and its style."""
    body = page[page.index("<body>") :] if "<body>" in page else page
    plain = re.sub(r"<svg.*?</svg>|</?b>", "", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", plain)))


class Balance(HTMLParser):
    """Checks that every element that opens also closes, in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def assert_balanced(page):
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
