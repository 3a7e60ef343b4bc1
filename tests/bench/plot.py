# SPDX-License-Identifier: Apache-2.0
"""Rates as bars on a logarithmic scale, as SVG."""
import math

COLOURS = {"floor": "#8a8f98", "ephemeral": "#e08a1e", "durable": "#2f6fb3"}
NAMES = {"floor": "nng_device", "ephemeral": "Redial, ephemeral",
         "durable": "Redial, durable"}
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 15, 50, 50
BAR = 38


def label(x, y, words, anchor="middle", size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'font-size="{size}">{words}</text>')


def short(rate):
    return f"{rate / 1000:.1f}k" if rate >= 1000 else f"{rate:.0f}"


def grid(low, high, y_of):
    out = []
    for power in range(low, high + 1):
        y = y_of(10 ** power)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" '
                   'stroke="#d8dade"/>')
        out.append(label(LEFT - 8, y + 4, f"{10 ** power:,}", "end"))
    return out


def legend(modes):
    out = []
    for i, mode in enumerate(modes):
        x = LEFT + 160 * i
        out.append(f'<rect x="{x}" y="14" width="12" height="12" '
                   f'fill="{COLOURS[mode]}"/>')
        out.append(label(x + 18, 25, NAMES[mode], "start"))
    out.append(label(WIDTH - RIGHT, 25, "jobs per second, log scale", "end"))
    return out


def bars(rows, shapes, modes):
    """The SVG of rows[shape, mode]["rate"]; missing ones are left out."""
    rates = [rows[shape, mode]["rate"] for shape in shapes for mode in modes
             if (shape, mode) in rows and rows[shape, mode]["rate"] > 0]
    low = math.floor(math.log10(min(rates, default=1)))
    high = max(math.ceil(math.log10(max(rates, default=10))), low + 1)
    deep = HEIGHT - TOP - BOTTOM

    def y_of(rate):
        part = (math.log10(rate) - low) / (high - low)
        return HEIGHT - BOTTOM - deep * part

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
           f'{HEIGHT}" font-family="sans-serif" fill="#222">',
           "<title>Jobs per second by jobs in flight</title>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    out += legend(modes) + grid(low, high, y_of)
    step = (WIDTH - LEFT - RIGHT) / len(shapes)
    for i, shape in enumerate(shapes):
        middle = LEFT + step * (i + 0.5)
        out.append(label(middle, HEIGHT - BOTTOM + 18, shape))
        for j, mode in enumerate(modes):
            rate = rows.get((shape, mode), {"rate": 0})["rate"]
            if rate <= 0:
                continue
            x = middle + BAR * (j - len(modes) / 2)
            y = y_of(rate)
            out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{BAR - 3}" '
                       f'height="{HEIGHT - BOTTOM - y:.1f}" '
                       f'fill="{COLOURS[mode]}"/>')
            out.append(label(x + (BAR - 3) / 2, y - 4, short(rate), size=10))
    out.append(label((WIDTH + LEFT) / 2, HEIGHT - 10,
                     "jobs in flight (256 × 1: on 256 connections)"))
    return "\n".join(out) + "\n</svg>\n"
