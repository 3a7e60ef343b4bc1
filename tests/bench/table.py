# SPDX-License-Identifier: Apache-2.0
"""Medians over the rounds, ratios within each round, and the verdicts."""
import statistics

NAMES = {"floor": "`nng_device`", "ephemeral": "ephemeral",
         "durable": "durable"}
UNMEASURED = (
    "gearmand, beanstalkd, Redis Streams, NATS JetStream: not driven yet",
    "100 watchers at full load: not driven yet",
    "one million jobs waiting, and the restart with them: not driven yet",
    "instructions per job by stage: not recorded yet",
)


def rows(measured, modes):
    """One row per (shape, mode), in the order of the measurements."""
    out = {}
    for (shape, mode), list_ in measured.items():
        row = {"shape": shape, "mode": mode}
        for key in ("rate", "p50", "p99", "cpu", "mb"):
            row[key] = statistics.median(got[key] for _, got in list_)
        row["lost"] = sum(got["lost"] for _, got in list_)
        rates = [got["rate"] for _, got in list_]
        row["low"], row["high"] = min(rates), max(rates)
        # A variation of a shape, as in "256, a key on every job", is compared
        # with the shape itself; "1,024" is none.
        floor = dict(measured.get((shape.split(", ")[0], "floor"), ()))
        for key in ("rate", "p50", "cpu"):
            ratios = [got[key] / floor[i][key] for i, got in list_
                      if i in floor and floor[i][key] > 0]
            row[key + "_ratio"] = statistics.median(ratios) if ratios else 0
        out[shape, mode] = row
    shapes = list(dict.fromkeys(shape for shape, _ in out))
    return {(shape, mode): out[shape, mode] for shape in shapes
            for mode in modes if (shape, mode) in out}


def verdict(good):
    return "met" if good else "**missed**"


def at_least(all_rows, shape, mode, target):
    row = all_rows.get((shape, mode))
    if row is None:
        return None
    got = row["rate_ratio"]
    return (f"{shape} in flight, {mode}: rate", f"≥ {target} × `nng_device`",
            f"{got:.2f} ×", verdict(got >= target))


def latency(all_rows, append_us):
    floor = all_rows.get(("1", "floor"))
    ephemeral = all_rows.get(("1", "ephemeral"))
    durable = all_rows.get(("1", "durable"))
    if not (floor and ephemeral and durable):
        return
    got = ephemeral["p50_ratio"]
    yield ("1 in flight, ephemeral: p50", "≤ 1.25 × `nng_device`",
           f"{got:.2f} ×", verdict(got <= 1.25))
    limit = 1.25 * floor["p50"] + 2.5 * append_us
    yield ("1 in flight, durable: p50",
           f"≤ that + 2.5 synced appends = {limit:,.0f} µs",
           f"{durable['p50']:,.0f} µs", verdict(durable["p50"] <= limit))


def verdicts(all_rows, append_us, idle):
    """(what, target, measured, verdict) of each target that was measured."""
    for shape, mode, target in (
            ("256", "ephemeral", 3), ("256", "durable", 2),
            ("256 × 1", "ephemeral", 0.9), ("256 × 1", "durable", 0.7)):
        line = at_least(all_rows, shape, mode, target)
        if line:
            yield line
    yield from latency(all_rows, append_us)
    plain = all_rows.get(("256", "durable"))
    failing = all_rows.get(("256, every second attempt fails", "durable"))
    if plain and failing:
        got = failing["rate"] / max(plain["rate"], 1)
        yield ("every second attempt fails: rate", "≥ 0.5 × durable",
               f"{got:.2f} ×", verdict(got >= 0.5))
    if plain:
        got = plain["cpu_ratio"]
        yield ("gateway CPU per durable job, 256 in flight",
               "≤ 1 × `nng_device`", f"{got:.2f} ×", verdict(got <= 1))
    yield ("idle gateway: memory", "≤ 20 MB", f"{idle[0]:.1f} MB",
           verdict(idle[0] <= 20))
    yield ("idle gateway: share of a core", "≤ 0.2 %", f"{idle[1]:.1f} %",
           verdict(idle[1] <= 0.2))


def text(all_rows, appends, missing):
    out = [
        "| in flight | through | jobs/s | lowest to highest | p50 µs | p99 µs"
        " | lost | rate × `nng_device` | CPU µs per job | peak MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: "
        "| ---: |"]
    for row in all_rows.values():
        out.append(
            f"| {row['shape']} | {NAMES[row['mode']]} | {row['rate']:,.0f} "
            f"| {row['low']:,.0f} to {row['high']:,.0f} | {row['p50']:,.0f} "
            f"| {row['p99']:,.0f} | {row['lost']} "
            f"| {row['rate_ratio']:.2f} | {row['cpu']:.1f} "
            f"| {row['mb']:.1f} |")
    said = ", ".join(f"{us:,.0f}" for us in appends)
    out += ["", f"Rounds: {len(appends)}. One synced append of 300 bytes, in "
            f"each round: {said} µs.", "", "Not measured:", ""]
    out += [f"- {line}" for line in (*missing, *UNMEASURED)]
    return "\n".join(out)


def targets(all_rows, appends, idle):
    out = ["", "| what | target | measured | |", "| --- | --- | ---: | --- |"]
    out += [f"| {' | '.join(line)} |" for line in
            verdicts(all_rows, statistics.median(appends), idle)]
    return "\n".join(out)
