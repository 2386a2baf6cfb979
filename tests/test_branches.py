"""Branches of steady states against closed forms and dense computations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
from helpers import at_nodes, interval, square, uniform_pump
from scipy.optimize import brentq
from scipy.special import ellipj, ellipk
from test_stability import dense_rates
from test_two_components import INPUTS
from test_two_components import placed as two_components

import nepfield as nf
from nepfield.steady.branches import bordered, neutral

LOSS, DETUNING = 0.1, 1.0


def homogeneous(space: nf.Space, detuning: float = DETUNING, loss: float = LOSS) -> nf.GPE:
    """A drive of weight 1 everywhere on an open domain, g = 1."""
    return nf.GPE(space, -detuning, [uniform_pump()], nf.Density(1.0), loss)


def drive_of(density: np.ndarray | float) -> np.ndarray:
    """|F| on the S-curve (Carusotto and Ciuti 2004), with Gamma = 2 gamma."""
    density = np.asarray(density)
    return np.sqrt(density * ((density - DETUNING) ** 2 + LOSS**2))


def fold_densities() -> np.ndarray:
    """Densities at the folds, the first one that is met first."""
    root = np.sqrt(DETUNING**2 - 3 * LOSS**2)
    return np.array([2 * DETUNING - root, 2 * DETUNING + root]) / 3


def two_sites() -> nf.GPE:
    """Two coupled sites of which one is pumped; an oscillation begins on their branch."""
    potential = np.array([-2.0, -1.7])
    return nf.GPE(nf.graph(nf.lattice(2)), potential, [nf.site_pump(0)], nf.Density(1.0), 0.1)


OPEN = [
    lambda: nf.finite_elements(interval(8, 0, 1.5), 2, dirichlet=[]),
    lambda: nf.finite_elements(square(2, 1.5), 2, dirichlet=[]),
]


@pytest.mark.parametrize("space_of", OPEN, ids=["interval", "mesh"])
def test_the_s_curve_folds_where_the_formula_says_and_changes_its_stability_there(
    space_of: Callable[[], nf.Space],
) -> None:
    space = space_of()
    branch = nf.follow(homogeneous(space), "weights.0", 0.0, 1.0)
    assert np.abs(branch.folds - drive_of(fold_densities())).max() < 1e-8
    assert branch.values[0] == 0
    assert branch.values[-1] == 1.0
    density = branch.norm**2 / space.w.sum()
    assert np.abs(branch.values - drive_of(density)).max() < 1e-8
    assert branch.residual.max() < 1e-10
    low, high = fold_densities()
    middle = (density > low) & (density < high)
    usual = branch.special == ""
    assert set(branch.stability[usual & middle]) == {"unstable"}
    assert set(branch.stability[usual & ~middle]) == {"proved", "stable"}
    assert not len(branch.hopf)
    assert not len(branch.branch_points)
    # The homogeneous fluctuation decides, k = 0.
    inside = density[usual & middle]
    growth = np.sqrt(inside**2 - (2 * inside - DETUNING) ** 2) - LOSS
    assert np.abs(branch.growth[usual & middle] - growth).max() < 1e-8


def test_on_a_longer_interval_modes_with_structure_destabilise_where_the_formula_says() -> None:
    length = 6.0
    space = nf.finite_elements(interval(20, 0, length), 2, dirichlet=[])
    branch = nf.follow(homogeneous(space), "weights.0", 0.0, 1.0)

    def marginal(energy: float) -> list[float]:
        """Drives at which a mode of this kinetic energy neither grows nor decays."""
        # n^2 = (energy + 2 n - Delta)^2 + gamma^2
        shift = energy - DETUNING
        roots = np.roots([3.0, 4 * shift, shift**2 + LOSS**2])
        return [float(drive_of(n.real)) for n in roots if abs(n.imag) < 1e-12 and n.real > 0]

    numbers = np.arange(1, 6) * np.pi / length
    smooth = sorted(drive for k in numbers for drive in marginal(k**2 / 2))
    assert len(smooth) == 4
    assert np.abs(np.sort(branch.branch_points) - smooth).max() < 1e-5
    energies = scipy.linalg.eigh(space.kinetic.toarray(), space.mass.toarray(), eigvals_only=True)[
        1:6
    ]
    exact = sorted(drive for energy in energies for drive in marginal(energy))
    assert np.abs(np.sort(branch.branch_points) - exact).max() < 1e-7
    # Before the fold, on the upper part of the branch too, it is these that destabilise.
    first = int(np.argmax(branch.stability == "unstable"))
    assert branch.values[first] < branch.folds[0]
    assert branch.special[first - 1] == "branch point"


def test_both_branches_that_break_the_symmetry_of_a_double_well_are_found() -> None:
    space = nf.finite_elements(interval(12, -4, 4), 2)
    barrier = 2 * np.exp(-((space.points[:, 0] / 0.6) ** 2))
    system = nf.GPE(space, -1.0, [uniform_pump()], nf.Density(1.0), LOSS, background=barrier)
    found = nf.diagram(system, "drive", 0.0, 0.21, most_branches=4)
    main, *others = found.branches
    order = np.argsort(space.nodes[space.dof < space.ndof][:, 0])

    def lopsided(states: np.ndarray) -> np.ndarray:
        density = np.abs(states[order]) ** 2
        return np.sum(density[: len(density) // 2] - density[len(density) // 2 + 1 :], axis=0)

    assert np.abs(lopsided(main.states[:, main.special == ""])).max() < 1e-8
    assert len(main.branch_points) == 2
    assert all(branch.origin.startswith("branch point") for branch in others)
    met = np.unique(np.concatenate([branch.branch_points for branch in others]).round(6))
    assert np.allclose(met, np.sort(main.branch_points), atol=1e-6)
    guesses = np.hstack([branch.guesses(0.1) for branch in others])
    weak = system.with_parameters({"weights": np.array([0.1])})
    states = nf.solve_steady(weak, np.ones((guesses.shape[1], 1)), initial=guesses).state
    sides = lopsided(states)
    assert sides.max() > 0.1
    assert sides.min() < -0.1
    right, left = states[order, np.argmax(sides)], states[order, np.argmin(sides)]
    assert np.abs(right - left[::-1]).max() < 1e-7  # one is the mirror image of the other
    stable = [branch.stability[branch.near(0.1)] for branch in others]
    assert "stable" in np.concatenate(stable)


def states_at(system: nf.GPE, branch: nf.Branch, value: float) -> np.ndarray:
    """The steady states on a branch at a weight of the only pump."""
    guesses = branch.guesses(value)
    there = system.with_parameters({"weights": np.array([value])})
    return nf.solve_steady(there, np.ones((guesses.shape[1], 1)), initial=guesses).state


def sn_state(x: np.ndarray) -> np.ndarray:
    """A sn(k x | m) on [0, 4], g = 1, its level k^2 (1 + m) / 2 (Carr, Clark and Reinhardt)."""
    return np.sqrt(0.5) * SN * ellipj(SN * x[:, 0], 0.5)[0]


def dark(x: np.ndarray) -> np.ndarray:
    """tanh(x), the dark soliton of density 1 for g = 1, its level 1."""
    return np.tanh(x[:, 0])


def bright(x: np.ndarray) -> np.ndarray:
    """sech(x), the bright soliton for g = -1, its level -1/2."""
    return 1 / np.cosh(x[:, 0])


SN = 2 * ellipk(0.5) / 4.0
EXACT = {
    "sn": (sn_state, (0.0, 4.0), ["left", "right"], 1.0, SN**2 * 1.5 / 2),
    "dark": (dark, (-5.0, 5.0), [], 1.0, 1.0),
    "bright": (bright, (-8.0, 8.0), [], -1.0, -0.5),
}


@pytest.mark.parametrize(
    "name", ["sn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dark", "bright"))]
)
def test_exact_driven_states_are_points_on_a_branch(name: str) -> None:
    shape, ends, walls, g, level = EXACT[name]
    space = nf.finite_elements(interval(40, *ends), 2, dirichlet=walls)
    # Driven by its own shape with the weight gamma, the state replaces exactly what it loses.
    pumps = [nf.field_pump(shape, 1.0)]
    system = nf.GPE(space, -level, pumps, nf.Density(g), LOSS)
    branch = nf.follow(system, "weights.0", 0.0, 4 * LOSS, stability=False)
    found = states_at(system, branch, LOSS)
    error = np.abs(found - at_nodes(space, shape)).max(axis=0).min()
    assert error < 2e-3
    assert branch.stability[0] == "unknown"
    assert np.isnan(branch.growth).all()


def test_a_hopf_point_of_two_sites_is_where_dense_eigenvalues_cross_the_axis() -> None:
    system = two_sites()
    branch = nf.follow(system, "weights.0", 0.0, 3.0)
    assert len(branch.hopf) == 2

    for value in branch.hopf:
        k = int(np.flatnonzero((branch.values == value) & (branch.special == "Hopf"))[0])
        start = branch.states[:, [k]]

        def growth(weight: float, start: np.ndarray = start) -> float:
            there = system.with_parameters({"weights": np.array([weight])})
            steady = nf.solve_steady(there, np.ones((1, 1)), initial=start, tolerance=1e-13)
            return float(dense_rates(there, steady).real.max())

        crossing = brentq(growth, value - 1e-3, value + 1e-3, xtol=1e-12)
        assert abs(crossing - value) < 1e-6
        assert branch.frequency[k] > 0.1
        words = {str(branch.stability[k - 1]), str(branch.stability[k + 1])}
        assert "unstable" in words
        assert len(words) == 2


@pytest.mark.parametrize("detuning", [pytest.param(10.0, marks=pytest.mark.slow), 20.0])
def test_cavity_solitons_on_a_ring_exist_above_the_known_drive(detuning: float) -> None:
    # Lugiato-Lefever is g = -1, gamma = 1 and V = Delta: a soliton sqrt(2 Delta) sech(sqrt(2 Delta)
    # x) exp(i phi) on a weak background needs F > sqrt(8 Delta) / pi, where phi = 0.
    width = 1 / np.sqrt(2 * detuning)
    domain = nf.periodic(interval(64, -8 * width, 8 * width), [("left", "right")])
    space = nf.finite_elements(domain, 2, dirichlet=[])
    least = np.sqrt(8 * detuning) / np.pi
    system = nf.GPE(space, detuning, [uniform_pump()], nf.Density(-1.0), 1.0)
    phase = np.exp(1j * np.arccos(1 / 1.1))
    at_dofs = np.zeros((space.ndof, 2))
    at_dofs[space.dof] = np.column_stack([space.nodes[:, 0], np.ones(len(space.nodes))])
    assert at_dofs[:, 1].all()
    soliton = phase / width / np.cosh(at_dofs[:, 0] / width)
    start = soliton + 1.1 * least / (1j * detuning)
    branch = nf.follow(system, "weights.0", 1.1 * least, 0.5 * least, initial=start)
    assert len(branch.folds) == 1
    assert branch.ending == "end of the range"
    assert abs(branch.folds[0] / least - 1) < 5e-3 / detuning
    # It can be moved along the ring at no cost; that mode is left out.
    before = branch.values[:5] > branch.folds[0]
    assert before.all()
    assert set(branch.stability[:5]) == {"stable"}
    assert branch.stability[-1] == "unstable"
    assert not len(branch.branch_points)
    peak = np.abs(branch.states[:, branch.special == "fold"]).max()
    assert peak == pytest.approx(1 / width, rel=0.06)


def test_large_systems_are_followed_by_gmres_to_the_same_folds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = nf.finite_elements(interval(30, 0, 1.5), 2, dirichlet=[])
    system = homogeneous(space)
    counted = []
    factorise = nf.space.linalg.Factorisation.__init__
    monkeypatch.setattr(
        nf.space.linalg.Factorisation,
        "__init__",
        lambda *args, **options: (counted.append(args[1].shape[0]), factorise(*args, **options))[1],
    )
    for module in (bordered, neutral):
        monkeypatch.setattr(module, "DIRECT_LIMIT", 0)
    branch = nf.follow(system, "weights.0", 0.0, 1.0, stability=False)
    assert np.abs(branch.folds - drive_of(fold_densities())).max() < 1e-8
    assert set(counted) == {space.ndof}  # complex factors alone, which serve several points
    assert len(counted) < 0.5 * len(branch)


def test_medium_systems_use_sparse_factors_and_know_the_sign_of_their_determinant() -> None:
    rng = np.random.default_rng(3)
    for size in (3, 60):
        matrix = scipy.sparse.random_array((size, size), density=0.2, rng=rng, format="csr")
        matrix = (matrix + matrix.T + 0.3 * scipy.sparse.diags_array(rng.normal(size=size))).tocsr()
        sign, logarithm = np.linalg.slogdet(matrix.toarray())
        if sign == 0:
            continue
        factors = nf.space.linalg.Factorisation(matrix)
        assert factors.determinant() == (sign, pytest.approx(logarithm))
        right = rng.normal(size=(size, 2))
        assert np.allclose(matrix.T @ factors.solve_transposed(right), right)


def test_detuning_loss_and_nonlinearity_fold_where_the_s_curve_does() -> None:
    space = nf.graph(nf.lattice(1))  # its level is 1: neighbours are missing, which count as 0
    pump = nf.site_pump(0, 0.15)

    def slope(density: float, detuning: float, loss: float, g: float) -> float:
        """d|F|^2/dn, 0 at a fold."""
        return (g * density - detuning) ** 2 + loss**2 + 2 * g * density * (g * density - detuning)

    cases: list[tuple[str, float, float, Callable[[float], tuple[float, float, float]]]] = [
        ("detuning", -1.0, 3.0, lambda p: (p + 0.5, LOSS, 1.0)),
        ("nonlinearity.g", 0.01, 3.0, lambda p: (0.5, LOSS, p)),
        ("loss", 0.5, 0.05, lambda p: (0.5, p, 1.0)),
    ]
    for name, start, stop, numbers in cases:
        system = nf.GPE(space, -1.5, [pump], nf.Density(1.0), LOSS)
        branch = nf.follow(system, name, start, stop)
        assert len(branch.folds) >= 1, name
        for value in branch.folds:
            density = float(branch.norm[branch.values == value][0] ** 2)
            assert abs(slope(density, *numbers(value))) < 1e-6, name


def test_deflation_finds_the_states_that_no_fold_joins() -> None:
    system = homogeneous(nf.graph(nf.lattice(1)), DETUNING + 1.0)  # the level of the site is 1
    middle = float(0.5 * drive_of(fold_densities()).sum())
    low, high = middle - 0.02, middle + 0.02  # no fold between them
    found = nf.diagram(system, "weights.0", low, high, deflate=2)
    assert [branch.origin.split()[0] for branch in found.branches] == ["start", *["deflation"] * 2]
    densities = [float(branch.norm[branch.values == low][0] ** 2) for branch in found.branches]
    exact = np.roots([1, -2 * DETUNING, DETUNING**2 + LOSS**2, -(low**2)])
    assert np.allclose(np.sort(densities), np.sort(exact.real))
    assert all(branch.values.max() == high for branch in found.branches)
    assert len(nf.diagram(system, "weights.0", low, high).branches) == 1


def test_both_ways_begins_at_the_other_end_as_well() -> None:
    system = homogeneous(nf.finite_elements(interval(4, 0, 1.0), 2, dirichlet=[]))
    low = drive_of(fold_densities()).max() - 0.05  # three states here, one at the other end
    upward = nf.follow(system, "weights.0", 1.0, float(low))
    assert not len(upward.folds)
    both = nf.diagram(system, "weights.0", 1.0, float(low), both_ways=True)
    assert len(both.branches) == 2
    assert len(both.points("fold")) == 1


def test_a_wave_of_two_components_is_followed_as_well() -> None:
    system, _ = two_components("chain")
    branch = nf.follow(system, "drive", 0.0, 1.0, inputs=INPUTS[0])
    steady = nf.solve_steady(system, INPUTS[:1])
    assert np.allclose(branch.states[:, -1], steady.state[:, 0])
    assert branch.growth[-1] == pytest.approx(dense_rates(system, steady).real.max())


def test_what_cannot_be_followed_is_refused() -> None:
    system = two_sites()
    with pytest.raises(nf.InputError, match="needs a range"):
        nf.follow(system, "drive", 1.0, 1.0)
    with pytest.raises(nf.InputError, match="stop = nan: give a finite number"):
        nf.follow(system, "drive", 0.0, float("nan"))
    with pytest.raises(nf.InputError, match="known are drive, detuning, inputs"):
        nf.follow(system, "detunning", 0.0, 1.0)
    with pytest.raises(nf.InputError, match="the system has 1 values of weights"):
        nf.follow(system, "weights.2", 0.0, 1.0)
    with pytest.raises(nf.InputError, match="no wave"):
        nf.follow(nf.Oscillators(nf.complete_graph(3), 1.0), "drive", 0.0, 1.0)
    with pytest.raises(nf.InputError, match="one sample is followed"):
        nf.follow(system, "drive", 0.0, 1.0, inputs=np.ones((2, 1)))
    with pytest.raises(nf.InputError, match="initial: a finite state"):
        nf.follow(system, "drive", 0.0, 1.0, initial=np.ones(3))
    with pytest.raises(nf.InputError, match="0 < step <= longest"):
        nf.follow(system, "drive", 0.0, 1.0, step=0.0)
    with pytest.raises(nf.InputError, match="deflate: give values"):
        nf.diagram(system, "drive", 0.0, 1.0, deflate=[2.0])
    with pytest.raises(nf.InputError, match="loss = -1"):
        nf.follow(system, "loss", 0.1, -1.0)


def test_a_branch_says_what_it_is_and_becomes_a_table() -> None:
    system = two_sites()
    readout = nf.readout(system.space, sites=[0, 1])
    assert len(readout.outputs(np.ones((2, 1)))[0]) == 2
    found = nf.diagram(system, "drive", 0.0, 3.0, readout=readout)
    branch = found.branches[0]
    assert "Branch from start" in repr(branch)
    assert "folds" in repr(branch)
    assert f"Diagram of drive: {len(found.branches)} branch" in repr(found)
    table = found.table()
    assert list(table)[:4] == ["branch", "drive", "output_0", "output_1"]
    assert np.allclose(table["output_0"][: len(branch)], np.abs(branch.states[0]) ** 2)
    for what in (branch, found):
        figure = nf.plot(what, title="two sites")
        first, second, growth = figure.axes
        assert first.get_ylabel() == "output 0"
        assert growth.get_xlabel() == "drive"
        styles = {line.get_linestyle() for line in second.get_lines()}
        assert {"-", "--", "None"} <= styles
        words = [text.get_text() for text in first.get_legend().get_texts()]
        assert words[:2] == ["stable", "unstable"]
        assert "fold" in words
    drawn = [line for line in first.get_lines() if line.get_linestyle() == "--"]
    unstable = branch.values[(branch.stability == "unstable") & (branch.special == "")]
    assert np.isin(unstable, np.concatenate([line.get_xdata() for line in drawn])).all()
