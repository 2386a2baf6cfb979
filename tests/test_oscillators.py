"""Coupled phase oscillators, xy (1) to (9): equilibria, gradients, training, pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nepfield as nf
from nepfield.learning.compare import compare_gradients
from nepfield.learning.gradients import cosine
from nepfield.learning.nudge import Nudge
from nepfield.steady.energy import Landscape
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study

STUDIES = Path(__file__).parents[1] / "studies"
PARAMETERS = ("coupling", "bias", "bias_phase")


def oscillators(domain: nf.Domain, seed: int = 0, scale: float = 1.0) -> nf.Oscillators:
    random = np.random.default_rng(seed)
    n, edges = len(domain.points), len(domain.cells)
    return nf.Oscillators(
        domain,
        coupling=scale * random.normal(size=edges),
        bias=random.uniform(-0.5, 0.5, n),
        bias_phase=random.uniform(-np.pi, np.pi, n),
        clamped=domain.region("input"),
    )


def all_to_all(n: int = 8, seed: int = 0) -> nf.Oscillators:
    return oscillators(nf.complete_graph(n, sets={"input": [0, 3], "output": [2, 5]}), seed)


def layered(*sizes: int, seed: int = 0) -> nf.Oscillators:
    return oscillators(nf.layered_graph(*(sizes or (6, 9, 3))), seed)


SYSTEMS = {"all-to-all": all_to_all, "layered": layered, "deep": lambda: layered(4, 6, 5, 2)}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> nf.Oscillators:
    return SYSTEMS[request.param]()


def samples(system: nf.Oscillators, count: int = 12, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Inputs and targets."""
    random = np.random.default_rng(seed)
    inputs = random.uniform(-np.pi / 2, np.pi / 2, (count, system.ninputs))
    outputs = len(system.domain.region("output"))
    return inputs, np.pi / 2 * random.choice([-1.0, 1.0], (count, outputs))


def cost_of(system: nf.Oscillators) -> nf.LogCosine:
    return nf.LogCosine(nf.phases(system.domain, ["output"]))


def away_from_the_pole(
    system: nf.Oscillators, count: int = 60
) -> tuple[nf.LogCosine, np.ndarray, np.ndarray, nf.Steady]:
    """Samples that a small nudge moves little, with their free states: those that do not stand
    opposite to their target, |tan((phi - target)/2)| < 7, in minima that are not very flat."""
    cost = cost_of(system)
    inputs, targets = samples(system, count)
    steady = nf.solve_steady(system, inputs, keys=nf.Keys(0, 1, np.arange(count)))
    half = (cost.readout.outputs(steady.state) - targets) / 2
    steep = steady.extra["lowest_curvature"] > 0.15
    (near,) = np.nonzero((np.abs(np.tan(half)).max(axis=1) < 7) & steep)
    assert len(near) > 10
    return cost, inputs[near], targets[near], steady.samples(near)


class TestEnergy:
    def test_energy_and_motion_are_those_of_the_paper(self, system: nf.Oscillators) -> None:
        """Equations (1), counting every pair twice and halving, and (2)."""
        inputs, _ = samples(system, 3)
        state = np.random.default_rng(2).uniform(-9, 9, (len(system.domain.points), 3))
        state[system.clamped] = inputs.T
        w, (h, psi) = system.weights, (system.bias.values, system.bias_phase.values)
        for k, phi in enumerate(state.T):
            pairs = w * np.cos(phi[:, None] - phi)
            energy = -pairs.sum() / 2 - (h * np.cos(phi - psi)).sum()
            assert system.energy(state)[k] == pytest.approx(energy, abs=1e-12)
            velocity = -(w * np.sin(phi[:, None] - phi)).sum(axis=1) - h * np.sin(phi - psi)
            held = system._held(inputs, None)
            force = held.force(state, np.arange(3))
            np.testing.assert_allclose(-force[:, k], velocity[held.free], atol=1e-12)

    def test_force_and_hessian_are_derivatives_of_the_energy(self, system: nf.Oscillators) -> None:
        inputs, _ = samples(system, 2)
        state = np.random.default_rng(2).uniform(-3, 3, (len(system.domain.points), 2))
        state[system.clamped] = inputs.T
        land = Landscape(system._held(inputs, None), None, np.arange(2))
        force, hessian = land.force(state), land.hessian(state).dense()
        for k in range(len(land.rows)):
            step = np.zeros((len(land.rows), 2))
            step[k] = 1e-5
            ahead, behind = land.moved(state, step), land.moved(state, -step)
            slope = (system.energy(ahead) - system.energy(behind)) / 2e-5
            np.testing.assert_allclose(force[k], slope, atol=1e-9)
            curvature = (land.force(ahead) - land.force(behind)) / 2e-5
            np.testing.assert_allclose(hessian[:, :, k].T, curvature, atol=1e-8)

    def test_observables_are_derivatives_of_the_energy(self, system: nf.Oscillators) -> None:
        """Equation (8)."""
        inputs, _ = samples(system, 2)
        state = np.random.default_rng(3).uniform(-3, 3, (len(system.domain.points), 2))
        observed = system.observables(state, inputs, state)
        for name in PARAMETERS:
            values = system.parameters[name].values
            for k in range(0, len(values), 3):
                step = np.zeros(len(values))
                step[k] = 1e-5
                ahead, behind = (
                    system.with_parameters({name: values + sign * step}).energy(state)
                    for sign in (1, -1)
                )
                np.testing.assert_allclose(observed[name][k], (ahead - behind) / 2e-5, atol=1e-9)

    def test_observables_do_not_depend_on_how_edges_are_grouped(self) -> None:
        system = layered(30, 40, 10)
        state = np.random.default_rng(4).uniform(-3, 3, (80, 50))
        near, far = system.domain.cells.T
        observed = system.observables(state, np.zeros((50, 30)), state)
        np.testing.assert_allclose(observed["coupling"], -np.cos(state[near] - state[far]))


class TestEquilibrium:
    def test_states_are_minima(self, system: nf.Oscillators) -> None:
        inputs, _ = samples(system, 200)
        keys = nf.Keys(3, 1, np.arange(200))
        steady = nf.solve_steady(system, inputs, keys=keys)
        land = Landscape(system._held(inputs, None), None, np.arange(200))
        lowest = np.linalg.eigvalsh(land.hessian(steady.state).dense())[:, 0]
        assert steady.converged.all()
        assert np.abs(land.force(steady.state)).max() < 1e-8
        assert lowest.min() > 0
        np.testing.assert_allclose(steady.extra["lowest_curvature"], lowest, rtol=0.05, atol=1e-6)
        np.testing.assert_array_equal(steady.state[system.clamped], inputs.T)
        assert np.abs(steady.state[land.rows]).max() <= np.pi

    @pytest.mark.parametrize("options", [{}, {"sweeps": 0}, {"method": "flow"}])
    def test_the_energy_falls_from_the_start(self, options: dict) -> None:
        system = all_to_all(9)
        inputs, _ = samples(system, 40)
        keys = nf.Keys(0, 0, np.arange(40))
        start = system._held(inputs, None).start(None, keys)
        steady = system.equilibrate(inputs, None, None, keys, **options)
        assert steady.converged.all()
        assert (system.energy(steady.state) < system.energy(start)).all()

    def test_sweeps_never_raise_the_energy(self) -> None:
        system = layered()
        inputs, _ = samples(system, 20)
        held = system._held(inputs, None)
        keys = nf.Keys(0, 0, np.arange(20))
        energies = [system.energy(held.start(None, keys, sweeps)) for sweeps in range(12)]
        assert (np.diff(energies, axis=0) <= 1e-12).all()

    def test_starts_are_random_by_their_keys_alone(self) -> None:
        system = all_to_all(10)
        inputs, _ = samples(system, 400)
        held = system._held(inputs, None)
        keys = nf.Keys(5, 2, np.arange(400))
        start = held.start(None, keys)[held.rows]
        assert start.min() >= -np.pi
        assert start.max() < np.pi
        assert abs(start.mean()) < 0.1
        assert start.std() == pytest.approx(np.pi / np.sqrt(3), rel=0.05)
        other = held.start(None, nf.Keys(5, 3, np.arange(400)))[held.rows]
        assert (start != other).all()
        order = np.random.default_rng(0).permutation(400)
        again = system._held(inputs[order], None).start(None, keys[order])[held.rows]
        np.testing.assert_array_equal(again, start[:, order])

    def test_several_minima_are_reached_from_random_starts(self) -> None:
        system = all_to_all(12, seed=4)
        inputs = np.repeat(samples(system, 1)[0], 100, axis=0)
        steady = nf.solve_steady(system, inputs, keys=nf.Keys(0, 0, np.arange(100)))
        assert len(np.unique(np.round(system.energy(steady.state), 6))) > 1
        alone = nf.solve_steady(system, inputs)
        assert np.ptp(alone.state, axis=1).max() == 0

    def test_columns_with_a_nan_start_as_if_there_were_none(self) -> None:
        system = all_to_all()
        inputs, _ = samples(system, 6)
        keys = nf.Keys(0, 0, np.arange(6))
        cold = system.equilibrate(inputs, None, None, keys)
        warm = system.equilibrate(inputs, None, cold.state + 1e-3, keys)
        mixed = cold.state + 1e-3
        mixed[2, ::2] = np.nan
        some = system.equilibrate(inputs, None, mixed, keys)
        np.testing.assert_allclose(some.state[:, ::2], cold.state[:, ::2], atol=1e-12)
        np.testing.assert_allclose(some.state[:, 1::2], warm.state[:, 1::2], atol=1e-12)
        assert (warm.iterations < 5).all()

    def test_the_flow_reaches_the_same_minimum_from_near_it(self, system: nf.Oscillators) -> None:
        inputs, _ = samples(system, 30)
        free = nf.solve_steady(system, inputs, keys=nf.Keys(1, 0, np.arange(30)))
        near = free.state + 0.02 * np.random.default_rng(0).normal(size=free.state.shape)
        flowed = nf.solve_steady(system, inputs, initial=near, method="flow")
        direct = nf.solve_steady(system, inputs, initial=near)
        apart = np.abs(np.exp(1j * flowed.state) - np.exp(1j * direct.state)).max(axis=0)
        assert flowed.extra["time"].min() > 0
        assert np.count_nonzero(apart < 1e-7) >= 29

    def test_the_flow_stops_when_its_time_is_over(self) -> None:
        system = all_to_all()
        inputs, _ = samples(system, 3)
        keys = nf.Keys(0, 0, np.arange(3))
        steady = nf.solve_steady(
            system, inputs, keys=keys, method="flow", time=0.1, on_failure="flag"
        )
        assert not steady.converged.any()
        assert "time" in steady.reason[0]
        np.testing.assert_allclose(steady.extra["time"], 0.1)

    def test_without_drive_all_may_turn_together(self) -> None:
        """Nothing holds the common phase: the states are minima all the same, and say so."""
        domain = nf.complete_graph(4, sets={"output": [3]})
        system = nf.Oscillators(domain, coupling=1.0)
        steady = nf.solve_steady(system, np.zeros((5, 0)), keys=nf.Keys(0, 0, np.arange(5)))
        assert steady.converged.all()
        assert "free direction" in steady.reason[0]
        np.testing.assert_allclose(system.energy(steady.state), -6.0, atol=1e-9)
        assert np.abs(steady.extra["lowest_curvature"]).max() < 1e-8
        cost = cost_of(system)
        with pytest.raises(nf.NotConverged):
            nf.gradient(system, cost, np.zeros((5, 0)), np.zeros((5, 1)), "adjoint")
        held = replace(system, bias=nf.Parameter(np.array([0.1, 0, 0, 0]), "vertex"))
        one = nf.solve_steady(held, np.zeros((5, 0)), keys=nf.Keys(0, 0, np.arange(5)))
        assert set(one.reason) == {"converged"}

    def test_with_everything_clamped_there_is_nothing_to_find(self) -> None:
        domain = nf.complete_graph(3, sets={"input": [0, 1, 2]})
        system = nf.Oscillators(domain, coupling=1.0, clamped=[2, 0, 1])
        steady = nf.solve_steady(system, np.array([[0.1, 0.2, 0.3]]))
        assert steady.converged.all()
        np.testing.assert_array_equal(steady.state[:, 0], [0.2, 0.3, 0.1])

    def test_unknown_ways_are_refused(self) -> None:
        system = all_to_all()
        inputs, _ = samples(system, 2)
        with pytest.raises(nf.InputError, match="flow"):
            nf.solve_steady(system, inputs, method="newton")
        with pytest.raises(nf.InputError, match="clamped oscillators"):
            nf.solve_steady(system, np.zeros((2, 3)))


class TestGradient:
    def test_the_exact_gradient_passes_the_taylor_test(self, system: nf.Oscillators) -> None:
        cost, inputs, targets, steady = away_from_the_pole(system)
        found = nf.gradient(system, cost, inputs, targets, "adjoint", steady=steady)
        random = np.random.default_rng(0)
        directions = {
            name: random.normal(size=len(p)) * p.trainable for name, p in system.parameters.items()
        }
        slope = sum(np.vdot(found.params[name], directions[name]) for name in PARAMETERS)
        left = []
        for step in (1e-3, 5e-4):
            moved = system.with_parameters(
                {name: p.values + step * directions[name] for name, p in system.parameters.items()}
            )
            after = nf.evaluate(moved, cost, inputs, targets, initial=steady.state)
            left.append(abs(after.cost - found.cost - step * slope))
        assert left[0] / left[1] == pytest.approx(4, rel=0.1)

    @pytest.mark.parametrize("name", PARAMETERS)
    def test_against_finite_differences(self, name: str) -> None:
        system = all_to_all()
        cost, inputs, targets, steady = away_from_the_pole(system)
        found = nf.gradient(system, cost, inputs, targets, "adjoint", steady=steady).params[name]
        values = system.parameters[name].values
        for k in range(0, len(values), 2):
            step = np.zeros(len(values))
            step[k] = 1e-5
            ahead, behind = (
                nf.evaluate(
                    system.with_parameters({name: values + sign * step}),
                    cost, inputs, targets, initial=steady.state,
                ).cost
                for sign in (1, -1)
            )  # fmt: skip
            assert found[k] == pytest.approx((ahead - behind) / 2e-5, abs=1e-7)

    def test_contrasts_agree_with_the_exact_gradient(self, system: nf.Oscillators) -> None:
        cost, inputs, targets, steady = away_from_the_pole(system)
        exact = nf.gradient(system, cost, inputs, targets, "adjoint", steady=steady).params
        one = nf.gradient(system, cost, inputs, targets, "ep", beta=1e-3, steady=steady).params
        assert cosine(system, one, exact) >= 0.9999
        both = nf.gradient(
            system, cost, inputs, targets, "ep-symmetric", beta=1e-4, steady=steady
        ).params
        apart = sum(np.sum((both[name] - exact[name]) ** 2) for name in PARAMETERS)
        size = sum(np.sum(exact[name] ** 2) for name in PARAMETERS)
        assert np.sqrt(apart / size) <= 1e-4

    @pytest.mark.parametrize(("rule", "order"), [("ep", 1), ("ep-symmetric", 2)])
    def test_errors_vanish_with_their_order_in_beta(self, rule: str, order: int) -> None:
        system = all_to_all()
        cost, inputs, targets, steady = away_from_the_pole(system)
        exact = nf.gradient(system, cost, inputs, targets, "adjoint", steady=steady).params
        errors = []
        for beta in (2e-3, 1e-3):
            found = nf.gradient(system, cost, inputs, targets, rule, beta, steady=steady).params
            errors.append(np.sqrt(sum(np.sum((found[k] - exact[k]) ** 2) for k in PARAMETERS)))
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)

    def test_order_and_parts_of_a_batch_do_not_matter(self, system: nf.Oscillators) -> None:
        cost = cost_of(system)
        inputs, targets = samples(system, 40)
        keys = nf.Keys(2, 7, np.arange(40))

        def found(chosen: np.ndarray) -> nf.Gradient:
            return nf.gradient(
                system, cost, inputs[chosen], targets[chosen], beta=0.1, keys=keys[chosen]
            )

        whole = found(np.arange(40))
        order = np.random.default_rng(0).permutation(40)
        parts = found(np.arange(13)) + found(np.arange(13, 40))
        assert parts.cost == pytest.approx(whole.cost, abs=1e-12)
        for name in PARAMETERS:
            for other in (found(order), parts):
                np.testing.assert_allclose(other.params[name], whole.params[name], atol=1e-11)

    def test_rotating_everything_changes_nothing(self, system: nf.Oscillators) -> None:
        cost = cost_of(system)
        inputs, targets = samples(system, 20)
        turned = system.with_parameters({"bias_phase": system.bias_phase.values + 0.7})
        start = np.random.default_rng(1).uniform(-3, 3, (len(system.domain.points), 20))
        for initial, also in ((start, start + 0.7), (None, None)):
            one = nf.gradient(system, cost, inputs, targets, beta=0.1, initial=initial)
            other = nf.gradient(turned, cost, inputs + 0.7, targets + 0.7, beta=0.1, initial=also)
            assert other.cost == pytest.approx(one.cost, abs=1e-9)
            for name in PARAMETERS:
                np.testing.assert_allclose(other.params[name], one.params[name], atol=1e-8)

    def test_nudged_away_from_the_target_one_side_is_measured_alone(self) -> None:
        """Near the pole there is no state on the other side; none is lost, none is nonsense."""
        system = all_to_all()
        cost, inputs, _, steady = away_from_the_pole(system)
        targets = cost.readout.outputs(steady.state) + np.pi - 0.02
        both = nf.gradient(system, cost, inputs, targets, "ep-symmetric", beta=0.1, steady=steady)
        one = nf.gradient(system, cost, inputs, targets, "ep", beta=0.1, steady=steady)
        assert both.used.all()
        for name in PARAMETERS:
            np.testing.assert_allclose(both.params[name], one.params[name], atol=1e-9)

    def test_a_nudge_of_any_readout_of_phases(self) -> None:
        """A squared error, on a readout among units that are coupled or not."""
        system = layered()
        inputs, _ = samples(system, 10)
        for vertex in (7, 16):
            cost = nf.MSE(nf.phases(system.domain, vertices=[vertex]))
            free = nf.solve_steady(system, inputs)
            targets = free.state[[vertex]].T + 0.3
            exact = nf.gradient(system, cost, inputs, targets, "adjoint").params
            found = nf.gradient(system, cost, inputs, targets, "ep-symmetric", beta=1e-4).params
            for name in PARAMETERS:
                np.testing.assert_allclose(found[name], exact[name], atol=1e-6)

    def test_what_has_no_effect_is_not_trained(self) -> None:
        system = all_to_all()
        cost = cost_of(system)
        inputs, targets = samples(system)
        found = nf.gradient(system, cost, inputs, targets, beta=0.1).params
        between = np.isin(system.domain.cells, system.clamped).all(axis=1)
        assert between.sum() == 1
        assert (found["coupling"] != 0).tolist() == (~between).tolist()
        for name in ("bias", "bias_phase"):
            np.testing.assert_array_equal(found[name][system.clamped], 0.0)

    def test_rules_are_compared(self) -> None:
        system = all_to_all()
        cost, inputs, targets, _ = away_from_the_pole(system)
        table = compare_gradients(system, cost, inputs, targets, beta=1e-3)
        assert set(system.rules) <= {row for row in np.ravel(table.index.tolist())} | set(
            table.get("rule", [])
        )


class TestParameters:
    @pytest.mark.parametrize(
        ("domain", "count"),
        [
            (nf.layered_graph(64, 20, 10), 1540),
            (nf.layered_graph(64, 100, 10), 7620),
            (nf.complete_graph(85, sets={"input": list(range(64))}), 1596),
            (nf.complete_graph(139, sets={"input": list(range(64))}), 7725),
        ],
    )
    def test_their_number_is_that_of_table_1(self, domain: nf.Domain, count: int) -> None:
        system = oscillators(domain)
        trained = sum(int(np.sum(p.trainable)) for p in system.parameters.values())
        assert trained == count

    def test_they_are_kept_in_their_bounds_and_may_be_fixed(self) -> None:
        domain = nf.complete_graph(4, sets={"input": [0]})
        coupling = nf.Parameter(np.ones(6), "edge", bounds=(-2.0, 2.0))
        fixed = nf.Parameter(np.zeros(4), "vertex", trainable=False)
        system = nf.Oscillators(domain, coupling, bias=fixed, clamped=[0])
        moved = system.with_parameters({"coupling": np.linspace(-3, 3, 6)})
        np.testing.assert_allclose(moved.coupling.values, [-2, -1.8, -0.6, 0.6, 1.8, 2])
        assert moved.wiring is system.wiring
        assert list(nf.trained(system)) == ["coupling", "bias_phase"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"coupling": np.ones(5)}, "coupling: .* 6 edges"),
            ({"bias": [1.0, np.nan, 0, 0]}, "bias: .* 4 vertices"),
            ({"clamped": [4]}, "clamped"),
            ({"clamped": [1, 1]}, "clamped"),
            ({"clamped": [0.5]}, "clamped"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options: dict, message: str) -> None:
        given = {"coupling": 1.0, "bias": 0.0, "clamped": [0]} | options
        with pytest.raises(nf.InputError, match=message):
            nf.Oscillators(nf.complete_graph(4), **given)

    def test_a_mesh_is_no_graph(self) -> None:
        mesh = nf.read_domain(STUDIES.parent / "meshes" / "interval.msh")
        with pytest.raises(nf.InputError, match="graph"):
            nf.Oscillators(mesh, coupling=1.0)
        with pytest.raises(nf.InputError, match="graph"):
            nf.phases(mesh, vertices=[0])


class TestReadout:
    def test_phases_of_sets_and_vertices(self) -> None:
        domain = nf.complete_graph(6, sets={"a": [4, 2], "b": [0]})
        readout = nf.phases(domain, sets=["b", "a"], vertices=[5])
        state = np.arange(12.0).reshape(6, 2)
        np.testing.assert_array_equal(readout.outputs(state), state[[0, 2, 4, 5]].T)
        slope = np.arange(8.0).reshape(4, 2)
        pulled = readout.pull_back(state, slope)
        np.testing.assert_array_equal(pulled[[0, 2, 4, 5]], slope)
        assert np.count_nonzero(pulled) == 7
        assert readout.marks()[1].shape == {"vertices": [2]}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "at least one"),
            ({"sets": ["c"]}, "region called 'c'"),
            ({"vertices": [6]}, "0 to 5"),
            ({"sets": ["a"], "vertices": [4]}, "vertex 4 is read twice"),
        ],
    )
    def test_what_is_not_there_is_refused(self, options: dict, message: str) -> None:
        domain = nf.complete_graph(6, sets={"a": [4, 2]})
        with pytest.raises(nf.InputError, match=message):
            nf.phases(domain, **options)


class TestShown:
    def test_figures(self) -> None:
        system = layered(20, 30, 5)
        inputs, _ = samples(system, 70)
        steady = nf.solve_steady(system, inputs)
        found = system.figures(steady, inputs)
        assert set(found) == set(system.figure_labels)
        np.testing.assert_array_equal(found["lowest_curvature"], steady.extra["lowest_curvature"])
        quick = nf.solve_steady(system, inputs, curvature=False)
        assert not quick.extra
        some = system.figures(quick, inputs)["lowest_curvature"]
        np.testing.assert_allclose(some[:64], found["lowest_curvature"][:64], rtol=1e-6)
        assert np.isnan(some[64:]).all()

    def test_fields_and_marks(self) -> None:
        system = all_to_all()
        inputs, targets = samples(system, 2)
        cost = cost_of(system)
        found = nf.gradient(system, cost, inputs, targets, beta=0.1)
        fields = {f.name: f for f in system.fields(found.steady.state, inputs, found.fields)}
        assert {"phase_0", "phase_1", *PARAMETERS} <= set(fields)
        assert fields["phase_1"].scale == fields["bias_phase"].scale == "cyclic"
        assert fields["coupling"].on == "edge"
        assert fields["coupling"].picture == fields["phase_0"].picture
        np.testing.assert_array_equal(fields["dC_dcoupling"].values, found.fields["coupling"])
        assert {"dC_dbias", "dC_dbias_phase"} <= set(fields)
        (mark,) = system.marks()
        assert mark.shape == {"vertices": [0, 3]}

    def test_advice(self) -> None:
        system = all_to_all()
        good = [{"mean_distance": 1e-3, "gradient_cosine": 0.99}] * 30
        assert system.advice(good, {"outputs": [[0.0]]}) == []
        bad = [{"mean_distance": 0.7, "gradient_cosine": 0.2}] * 30
        said = " ".join(system.advice(bad, {"outputs": [[0.0]], "rule": "ep"}))
        assert "starts" in said
        assert "beta" in said


class TestTraining:
    def test_xor_is_learnt(self) -> None:
        study = build(load_study(STUDIES / "xy-xor" / "study.toml"))
        result = study.train()
        rows = result.history
        assert np.mean([row["mean_distance"] for row in rows[-20:]]) < 0.01
        assert rows[0]["mean_distance"] > 0.1
        assert rows[-1]["fraction_converged"] == 1
        assert {"energy", "lowest_curvature", "gradient_norm_bias_phase"} <= set(rows[-1])

    def test_digits_are_read_better_after_forty_steps(self) -> None:
        config = load_study(
            STUDIES / "xy-digits-20" / "study.toml",
            ("training.epochs=40", "training.evaluate_every=40"),
        )
        study = build(config)
        assert sum(int(np.sum(p.trainable)) for p in study.system.parameters.values()) == 1540
        np.testing.assert_allclose(study.system.coupling.values[:1280].std(), 84**-0.5, rtol=0.1)
        rows = study.train().history
        assert rows[-1]["test_accuracy"] > 0.6

    def test_many_starts_are_averaged(self) -> None:
        """Equation (9): the step is the mean over samples and starts."""
        system = all_to_all()
        cost = cost_of(system)
        inputs, targets = samples(system, 4)
        options = dict(optimizer=nf.SGD(0.1), beta=0.1, epochs=1, seed=3, shuffle=False)
        result = nf.train(system, cost, nf.Task(inputs, targets), starts=3, **options)
        parts = [
            nf.gradient(
                system, cost, inputs, targets, beta=0.1, keys=nf.Keys(3, 1, np.arange(4), start)
            )
            for start in range(3)
        ]
        mean = (parts[0] + parts[1] + parts[2]).params
        for name in PARAMETERS:
            expected = system.parameters[name].values - 0.1 * mean[name]
            np.testing.assert_allclose(result.system.parameters[name].values, expected, atol=1e-12)

    def test_the_free_nudge_keeps_to_its_basin(self) -> None:
        """A weak nudge moves phases a little, whatever the landscape around."""
        system = all_to_all(12, seed=4)
        cost, inputs, targets, steady = away_from_the_pole(system)
        signals = cost.readout.signals(steady.state)
        nudge = Nudge(cost, targets.T, steady.state, signals, "full", 1e-4)
        nudged = system.equilibrate(inputs, nudge, steady.state)
        assert nudged.converged.all()
        assert np.abs(nudged.state - steady.state).max() < 0.1

    @pytest.mark.parametrize("name", ["xy-xor", "xy-digits-20"])
    def test_a_resumed_training_is_the_same_to_the_last_bit(
        self, name: str, tmp_path: Path
    ) -> None:
        file = STUDIES / name / "study.toml"
        changed = ("training.evaluate_every=0", "training.epochs=4")
        study = build(load_study(file, changed, 5))
        whole = study.train(checkpoint=tmp_path / "whole.npz")
        half = build(load_study(file, (*changed[:1], "training.epochs=2"), 5))
        half.train(checkpoint=tmp_path / "parts.npz")
        parts = study.train(checkpoint=tmp_path / "parts.npz", resume=True)
        for parameter in PARAMETERS:
            np.testing.assert_array_equal(
                parts.system.parameters[parameter].values,
                whole.system.parameters[parameter].values,
            )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("domain.sets.output=[0]", "readout: vertex 0 is clamped"),
        ("physics.clamp='inlet'", "physics.clamp: .*no region called 'inlet'"),
        ("training.per_class=3", "name no classes, which training.per_class needs"),
        ("training.starts=3 training.warm_start=true", "goes with warm_start = false"),
    ],
)
def test_a_study_of_phases_says_what_does_not_go_together(change: str, message: str) -> None:
    path = Path(__file__).parent.parent / "studies" / "xy-xor" / "study.toml"
    with pytest.raises(nf.InputError, match=message):
        build(load_study(path, change.split()))
