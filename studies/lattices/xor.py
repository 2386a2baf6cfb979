"""The paper's XOR lattices: Fig. 3, Fig. 6 (a-c), Fig. 6 (d-f), and fixed disorder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from nepfield.learning.gradients import RULES
from nepfield.learning.training import evaluate
from nepfield.view.curves import BLUE, new_figure, save_figure
from studies.lattices.figures import draw_success, draw_xor
from studies.lattices.network import network_table, network_text
from studies.lattices.tables import fill_readme, markdown, statistics, statistics_text, write_csv
from studies.lattices.train import SOLVED, Job, Map, jobs_of, train_job, train_table

FREE = "potential.bounds=[-100.0, 100.0]"
BAND = "potential.initial={ uniform = [-1.5, -0.5] }"
BELOW = "potential.initial={ uniform = [0.0, 0.5] }"
SGD = ("training.optimizer=sgd", "training.rate=0.1", "training.weight_rate=0.1")
SGD = (*SGD, "training.epochs=100")
ADAM = ("training.optimizer=adam", "training.rate=0.02", "training.weight_rate=0.02")
LONG = (*ADAM, "training.epochs=300")
OPPOSITE = ("pump.0.weight={ uniform = [0.9, 1.1] }", "pump.1.weight={ uniform = [-0.85, -0.65] }")

# What is changed in the study file; "study" is the file as it is.
CASES: dict[str, tuple[str, ...]] = {
    "study": (),
    "sgd-band": (FREE, BAND, *OPPOSITE, *SGD),
    "sgd-random": (FREE, BELOW, *SGD),
    "adam-random": (FREE, BELOW, *LONG),
    "adam-0.03": (FREE, BELOW, *LONG, "physics.loss=0.03"),
}
V_ONLY_CASES = {
    "study": (),  # gamma = 0.03
    "sgd-band": (BAND, "physics.loss=0.1", *SGD),
    "adam-random": ("physics.loss=0.1",),
}
SEVEN_CASES = {name: CASES[name] for name in ("study", "sgd-band", "adam-0.03")}
STRENGTHS = (0.1, 0.3, 1.0)  # of the disorder, uniform in [-strength, strength]


@dataclass(frozen=True)
class Options:
    """How large a run is."""

    seeds: int
    out: Path
    epochs: int | None = None


def run_study(
    name: str, title: str, cases: dict[str, tuple[str, ...]], options: Options, run: Map
) -> pd.DataFrame:
    """Every case of a study with every rule; its CSV files, picture and README table."""
    folder = options.out / name
    table = train_table(jobs_of(name, cases, options.seeds, RULES, options.epochs), run)
    write_csv(table, folder / "results.csv")
    write_csv(statistics(table), folder / "statistics.csv", 4)
    result, study = train_job(_example(name, options))
    draw_xor(folder / "result.png", title, result, study, table)
    fill_readme(folder, results=statistics_text(table))
    return table


def _example(name: str, options: Options) -> Job:
    epochs = () if options.epochs is None else (f"training.epochs={options.epochs}",)
    return Job(name, 0, epochs)


def lattice_xor(options: Options, run: Map) -> pd.DataFrame:
    """Fig. 3, and a neural network of the same size on the same task."""
    title = "XOR on 9 sites, inputs at 2 and 6, output at 4"
    table = run_study("lattice-xor", title, CASES, options, run)
    network = network_table(options.seeds, run, options.epochs)
    folder = options.out / "lattice-xor"
    write_csv(network, folder / "network.csv")
    fill_readme(folder, network=network_text(table, network))
    return table


def lattice_xor_v_only(options: Options, run: Map) -> pd.DataFrame:
    """Fig. 6 (a-c): the pump weights stay at 1 and -0.75."""
    title = "XOR on 9 sites, V alone trained"
    return run_study("lattice-xor-v-only", title, V_ONLY_CASES, options, run)


def lattice_xor_7(options: Options, run: Map) -> pd.DataFrame:
    """Fig. 6 (d-f): 7 sites, inputs at 1 and 3, output at 5."""
    title = "XOR on 7 sites, inputs at 1 and 3, output at 5"
    return run_study("lattice-xor-7", title, SEVEN_CASES, options, run)


def lattice_xor_disorder(options: Options, run: Map) -> pd.DataFrame:
    """Fixed random potentials of growing strength, before training and after it."""
    name = "lattice-xor-disorder"
    folder = options.out / name
    cases = {
        f"{case}, {strength:g}": (*CASES[case], *_disorder(strength))
        for case in ("study", "sgd-band")
        for strength in STRENGTHS
    }
    seeds = max(2, options.seeds // 2)
    table = train_table(jobs_of(name, cases, seeds, RULES, options.epochs), run)
    split = table["case"].str.split(", ", expand=True)
    table.insert(0, "disorder", split[1].astype(float))
    table["case"] = split[0]
    write_csv(table, folder / "results.csv")
    by = ("case", "disorder", "rule")
    write_csv(statistics(table, by), folder / "statistics.csv", 4)
    shaken = pd.concat(run(_shaken, [(seed, options.epochs) for seed in range(seeds)]))
    write_csv(shaken, folder / "after-training.csv")
    _draw_disorder(folder / "result.png", table, shaken)
    nep = table[table["rule"].isin(("nep", "adjoint"))]
    fill_readme(folder, results=statistics_text(nep, by), after=_shaken_text(shaken))
    return table


def _disorder(strength: float) -> tuple[str, ...]:
    if strength == 0:
        return ("potential.disorder=0.0",)
    return (f"potential.disorder={{ uniform = [{-strength}, {strength}] }}",)


def _shaken(item: tuple[int, int | None]) -> pd.DataFrame:
    """Train without disorder, then add it and read the outputs again."""
    seed, epochs = item
    cut = () if epochs is None else (f"training.epochs={epochs}",)
    result, study = train_job(Job("lattice-xor-disorder", seed, (*_disorder(0.0), *cut)))
    random = np.random.default_rng((seed, 1))
    pattern = random.uniform(-1, 1, len(result.system.space.w))
    rows = []
    for strength in (0.003, 0.01, 0.03, 0.1, 0.3):
        system = replace(result.system, background=strength * pattern)
        shaken = evaluate(system, study.cost, study.task.inputs, study.task.targets, **study.solver)
        rows.append(
            {
                "seed": seed,
                "disorder": strength,
                "cost": shaken.cost,
                "largest_error": shaken.metrics["largest_error"],
                "solved": bool(shaken.cost < SOLVED),
            }
        )
    return pd.DataFrame(rows)


def _shaken_text(shaken: pd.DataFrame) -> str:
    rows = []
    for strength, part in shaken.groupby("disorder"):
        middle, high = part["cost"].quantile([0.5, 0.9])
        rows.append(
            {
                "disorder added after training": f"{strength:g}",
                "still solved": f"{100 * part['solved'].mean():.0f} %",
                "cost, median (90 %)": f"{middle:.2g} ({high:.2g})",
            }
        )
    return markdown(pd.DataFrame(rows))


def _draw_disorder(path: Path, table: pd.DataFrame, shaken: pd.DataFrame) -> None:
    figure = new_figure(3.8)
    axes = figure.subplots(1, 3)
    for axis, case in zip(axes, ("study", "sgd-band"), strict=False):
        draw_success(axis, table[table["case"] == case], by="disorder", columns=2)
        axis.set_title(f"trained with disorder: {case}", fontsize=10)
        axis.set_xlabel("strength of the disorder")
    means = 100 * shaken.groupby("disorder")["solved"].mean()
    axes[2].semilogx(means.index, means.to_numpy(), "o-", color=BLUE)
    axes[2].set_ylim(0, 105)
    axes[2].set_xlabel("strength of the disorder")
    axes[2].set_ylabel("still solved (%)")
    axes[2].set_title("disorder after training, study", fontsize=10)
    save_figure(figure, path)
