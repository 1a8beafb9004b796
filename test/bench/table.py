"""table.py - statistics of samples, and the one table that a person reads."""
import statistics


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def summary(rounds):
    """rounds: lists of samples. The median of the rounds' medians, its spread, and the tail."""
    every = [sample for samples in rounds for sample in samples]
    medians = [statistics.median(samples) for samples in rounds]
    return {"median": statistics.median(medians), "spread": [min(medians), max(medians)],
            "p99": percentile(every, 0.99), "p999": percentile(every, 0.999), "max": max(every),
            "samples": len(every), "rounds": len(rounds)}


def ratio(one, other):
    return round(one["median"] / other["median"], 3) if other and other["median"] else None


class Row:
    """One property: `values` of the floor, poold and peers, each a summary or {"value": n}, and
    `notes`, lines that say what exactly was measured."""

    def __init__(self, name, unit, target, statistic="median"):
        self.name, self.unit, self.target, self.notes = name, unit, target, []
        self.statistic, self.values, self.ratio, self.met = statistic, {}, None, None

    def judge(self, most, value=None):
        """most: largest ratio to the floor, or with `value` the largest value itself."""
        if value is None:
            self.ratio = value = ratio(self.values["poold"], self.values.get("floor"))
        self.met = value is not None and value <= most

    def as_json(self):
        return {"row": self.name, "unit": self.unit, "target": self.target, "met": self.met,
                "ratio_to_floor": self.ratio, "values": self.values, "notes": self.notes}

    def figure(self, name):
        value = self.values.get(name)
        if value is None:
            return "-"
        text = number(value.get("value", value.get(self.statistic)))
        if "spread" in value and value["rounds"] > 1 and self.statistic == "median":
            text += f" ({number(value['spread'][0])}..{number(value['spread'][1])})"
        return text


def number(value):
    if value is None:
        return "?"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def print_table(rows, machine):
    print(f"\n{machine['cpus']} CPUs of {machine['cpu']}, Linux {machine['kernel']}, "
          f"{'virtual, ' if machine['virtual'] else ''}{machine['nofile'][1]} descriptors, "
          f"poold {machine['commit'] or machine['poold']}; "
          f"load before: {machine['load_before']:.2f}")
    if machine["load_before"] > machine["cpus"] / 2:
        print("THE MACHINE WAS BUSY before it began: verdicts on times are worth little; run it again.")
    print("Medians, in brackets the least and most of the rounds' medians, unless a row says "
          "otherwise.\n")
    print(f"{'property':<46} {'floor':>19} {'poold':>22} {'ratio':>6}  target")
    for row in rows:
        times = f"{row.ratio:.2f}" if row.ratio is not None else ""
        verdict = {None: "", True: "  met", False: "  MISSED"}[row.met]
        print(f"{row.name + ', ' + row.unit:<46} {row.figure('floor'):>19} "
              f"{row.figure('poold'):>22} {times:>6}  {row.target}{verdict}")
        for name in row.values:
            if name not in ("floor", "poold"):
                print(f"    {name:<42} {'':>19} {row.figure(name):>22}")
        for note in row.notes:
            print(f"    {note}")
