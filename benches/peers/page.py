"""The generated tables of `docs/performance.md`: between a pair of markers each; the prose around them is written by hand.

Usage: page.py    writes them anew from `results.json`
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "performance.md"

# The least share of the floor, and the least multiple of FastAPI with Pillow and onnxruntime, that were aimed at.
AIMS = {"mobilenet_v3_small": (0.85, 2.8), "mobilenet_v2": (0.85, 2.8), "resnet50": (0.95, None), "vit_tiny": (0.95, None)}
TRANSPORT_AIM = 0.7
# Of a server's core; what runs on every machine takes less.
MOST_OTHERS_PERCENT = 3


def rendered(text: str, results: dict) -> str:
    """`text` with what stands between `<!-- measured: NAME -->` and `<!-- end -->` replaced."""
    parts = {"setting": setting, "floor": floor, "peers": peers, "transport": transport}

    def filled(marker: re.Match) -> str:
        return f"{marker[1]}\n{parts[marker[2]](results).strip()}\n{marker[3]}"

    return re.sub(r"(<!-- measured: (\w+) -->)\n.*?(<!-- end -->)", filled, text, flags=re.DOTALL)


def tables(results: dict) -> str:
    """All of them, for the terminal."""
    return "\n\n".join(part(results) for part in (setting, floor, peers, transport))


def models(results: dict) -> dict[str, dict]:
    """In the order of the aims."""
    found = results.get("models", {})
    return {name: found[name] for name in AIMS if name in found}


def setting(results: dict) -> str:
    found = models(results)
    if not found:
        return "Nothing was measured yet."
    abouts = [row["about"] for model in found.values() for row in model["servers"].values()]
    about = max(abouts, key=lambda about: about["when"])
    days, rounds, seconds = (sorted({about[key] for about in abouts}) for key in ("when", "rounds", "seconds"))
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return "\n".join([
        f"- {between(days)}, {about['machine']}; the server has one core, the load another",
        f"- a picture ({about['picture']}) of {about['picture_bytes']:,} bytes, {about['body_bytes']:,} as JSON",
        f"- {about['concurrency']} requests under way, {between(rounds)} rounds with {between(seconds)} s of load for each server",
        f"- {versions}",
    ])


def between(values: list) -> str:
    """The least and the greatest of sorted values, once where they are the same."""
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def floor(results: dict) -> str:
    lines = [
        "| model | prepare ms | run ms | floor req/s | tintype req/s | of the floor | aim | × FastAPI | aim | p99 ÷ mean | in process |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, model in models(results).items():
        prepare, run = model["floor"]["prepare_ms"], model["floor"]["run_ms"]
        least = 1000 / (prepare + run)
        cells = [f"`{name}`", f"{prepare:.2f}", f"{run:.2f}", f"{least:.1f}"]
        share_aim, ratio_aim = AIMS[name]
        ours = model["servers"].get("tintype")
        cells += [f"{ours['throughput']:.1f}", f"{against(ours['share'], share_aim)} ({spread(ours['shares'])})"] if ours else ["–", "–"]
        cells.append(f"{share_aim}")
        peer = model["servers"].get("fastapi-onnx", {}).get("ratio")
        cells += [against(peer, ratio_aim), f"{ratio_aim or '–'}"]
        cells.append(f"{ours['p99'] / ours['mean']:.2f}" if ours else "–")
        cells.append(f"{model['floor']['in_process_share']:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def against(value: float | None, aim: float | None) -> str:
    """In bold where it falls short."""
    if value is None:
        return "–"
    return f"**{value:.2f}**" if aim is not None and value < aim else f"{value:.2f}"


def peers(results: dict) -> str:
    return "\n\n".join(f"### {name}\n\n{model_table(model)}" for name, model in models(results).items())


def model_table(model: dict) -> str:
    lines = [
        "| server | req/s | tintype ÷ it | of the floor | p50 ms | p99 ms | mean ms | CPU ms a request | peak RSS MiB | first answer after s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for row in model["servers"].values():
        ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f}"
        figures = [f"{row['throughput']:.1f}", ratio, f"{row['share']:.2f}", *(f"{row[key]:.0f}" for key in ("p50", "p99", "mean")),
                   f"{row['cpu_ms']:.2f}", f"{row['rss_peak_mib']:.0f}", f"{row['start_s']:.1f}"]
        lines.append(f"| {' | '.join([row['title'], *figures])} |")
        if len(row["variants"]) > 1:
            others = ", ".join(f"{name} {rate:.1f}" for name, rate in row["variants"].items() if name != row["variant"])
            best = f"{row['variant']} {row['variants'][row['variant']]:.1f}"
            notes.append(f"{row['title']} in the first round: {best}, {others}")
        if row["client_cpu_percent"] > 95:
            notes.append(f"{row['title']}: the generator was busy all the time, so that the server may do more")
        if row["others_percent"] > MOST_OTHERS_PERCENT:
            notes.append(f"{row['title']}: others had {row['others_percent']:.0f} % of its core")
    return "\n".join(lines) + ("\n\n" + "; ".join(notes) + "." if notes else "")


def transport(results: dict) -> str:
    found = results.get("transport")
    if not found:
        return "Nothing was measured yet."
    lines = ["| server | req/s on one core | tintype ÷ it |", "|---|---|---|"]
    for name, row in found["servers"].items():
        aim = TRANSPORT_AIM if name == "echo" else None
        ratio = "" if name == "tintype" else against(row["ratio"], aim)
        lines.append(f"| {row['title']} | {row['rate']:,.0f} | {ratio} |")
    return "\n".join(lines) + (f"\n\nBody of {found['body_bytes']} bytes, {found['concurrency']} connections, "
                               f"{len(found['servers']['tintype']['rates'])} rounds of {found['seconds']} s, {found['about']['when']}.")


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(), json.loads((HERE / "results.json").read_text())))
