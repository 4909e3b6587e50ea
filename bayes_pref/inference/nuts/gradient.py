"""The gradient of a flat density as machine code, checked before it is used.

The density and its gradient are traced to a graph of elementary operations (`make_fx`), which
torch's inductor compiles into a few fused loops. The trace goes through `functionalize`: without
it, operations in place give gradients that are silently wrong. Tensors of the data are inputs of
the graph, so that compiled code serves all data of the same shapes: within a process from memory,
later from inductor's cache on disk.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from pyro.ops.einsum import torch_log
from torch.func import functionalize, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_pref.errors import ModelError
from bayes_pref.inference.nuts.density import FlatDensity
from bayes_pref.inference.pyro_tools.trace import double_precision
from bayes_pref.inference.runtime.interrupts import uninterrupted
from bayes_pref.types import FloatArray

Gradient = Callable[[FloatArray], tuple[float, FloatArray]]

# One thread for each chain, so that no loop is split. Masks at the ends of short loops, such as
# those over a dozen features, take longer than plain code.
# Where torch itself runs vector code, inductor need not find out by compiling a dozen programs
# whether it can, which takes longer than compiling a model. None: it finds out.
VECTORS = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") or None
OPTIONS: dict[str, Any] = {
    "cpp.threads": 1,
    "compile_threads": 1,
    "cpp.enable_loop_tail_vec": False,
    "cpp.vec_isa_ok": VECTORS,
}
POINTS = 5
TOLERANCE = 1e-8  # relative; sums of a million terms in another order differ by less than 1e-10

MASKED = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default)

_kernels: dict[str, Callable[..., Any]] = {}


class CompilationError(RuntimeError):
    """torch cannot trace or compile the model; plain autograd may still do."""


def compile_gradient(flat: FlatDensity) -> Gradient:
    """Compile a density and its gradient.

    Returns
    -------
    Function of a point (size,) that returns the log density and its gradient (size,).

    Raises
    ------
    CompilationError
        If torch cannot trace the model (for example because Python code looks at the value of a
        tensor that depends on a latent site) or compile it here (for example without a compiler).
    ModelError
        If the density is itself random.

    Examples
    --------
    >>> import numpy as np
    >>> import pyro
    >>> import pyro.distributions as dist
    >>> from bayes_pref.inference.nuts.density import flatten
    >>> flat = flatten(lambda: pyro.sample("x", dist.Exponential(2.0)))
    >>> value, gradient = compile_gradient(flat)(np.zeros(1))
    >>> round(value, 4), gradient
    (-1.3069, array([-1.]))
    """
    point = torch.zeros(flat.size, dtype=torch.float64)
    try:
        with double_precision(), _traceable_enumeration(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inductor's remarks are not for the user of a model
            traced = make_fx(functionalize(grad_and_value(flat.log_density)))(point)
            graph, data = with_data_as_inputs(traced)
            _refuse_randomness(graph)
            kernel = _compiled(graph, [point, *data])
    except ModelError:
        raise
    except Exception as err:  # whatever torch raises, autograd is the answer
        raise CompilationError(f"{type(err).__name__}: {str(err).splitlines()[0]}") from err

    def evaluate(at: FloatArray) -> tuple[float, FloatArray]:
        gradient, value = kernel(torch.tensor(at), *data)
        return float(value), gradient.numpy()

    return evaluate


@contextmanager
def _traceable_enumeration() -> Iterator[None]:
    """Let Pyro marginalise discrete sites out with a logarithm that torch can trace.

    Pyro's own has a backward pass in Python, which differs only where a probability is below the
    precision of a double.
    """
    before = torch_log.safe_log
    torch_log.safe_log = torch.log
    try:
        yield
    finally:
        torch_log.safe_log = before


def check_gradient(gradient: Gradient, flat: FlatDensity, rng: np.random.Generator) -> None:
    """Compare a gradient with plain autograd at random points.

    Raises
    ------
    ModelError
        If they differ by more than rounding.
    """
    for _ in range(POINTS):
        point = flat.start(rng)
        value, slope = gradient(point)
        expected, expected_slope = flat.value_and_gradient(point)
        error = np.abs(np.append(slope - expected_slope, value - expected)).max()
        scale = np.abs(np.append(expected_slope, expected)).max()
        if not error <= TOLERANCE * max(scale, 1.0):
            raise ModelError(
                f"the compiled gradient differs from autograd's by {error:.2g} where the largest "
                f"entry is {scale:.2g}: this model cannot be trusted to the compiler, use "
                "NUTS(kernel='pyro')"
            )


def with_data_as_inputs(
    traced: torch.fx.GraphModule,
) -> tuple[torch.fx.GraphModule, list[torch.Tensor]]:
    """Turn constants of a traced function into inputs; compute once what depends on them alone.

    Returns
    -------
    The graph with one input more for every tensor returned beside it.
    """
    graph = traced.graph
    copies: dict[Any, torch.Tensor] = {}
    known: dict[torch.fx.Node, Any] = {}
    given: set[torch.fx.Node] = set()  # those that depend on data, unlike zeros or ones
    for node in graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "get_attr":
            # Copies, because operations in place on constants escape functionalize.
            known[node] = copies.setdefault(node.target, getattr(traced, node.target).clone())
            given.add(node)
        elif (
            node.op == "call_function"
            and not is_random(node)
            and all(each in known for each in inputs)
        ):
            args, kwargs = (
                torch.fx.map_arg(each, known.__getitem__) for each in (node.args, node.kwargs)
            )
            known[node] = node.target(*args, **kwargs)
            if not given.isdisjoint(inputs):
                given.add(node)
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    data: list[torch.Tensor] = []

    def as_input(value: torch.Tensor) -> torch.fx.Node:
        nonlocal last
        with graph.inserting_after(last):
            last = graph.placeholder(f"data_{len(data)}")
        data.append(value.detach().contiguous())
        return last

    for node in graph.nodes:
        if node not in known and node.target in MASKED:
            _replace_masks(node, known, as_input)
    for node, value in known.items():
        users = [user for user in node.users if user not in known]
        # Constants that do not depend on data stay: the compiler inlines them.
        if users and node in given:
            new = as_input(value)
            for user in users:
                user.replace_input_with(node, new)
    graph.eliminate_dead_code()
    for node in reversed(list(known)):
        if not node.users and not node._erased:  # operations in place do not count as dead
            graph.erase_node(node)
    return torch.fx.GraphModule({}, graph), data


def _replace_masks(
    node: torch.fx.Node,
    known: Mapping[torch.fx.Node, Any],
    as_input: Callable[[torch.Tensor], torch.fx.Node],
) -> None:
    """Index by places instead of by a known mask, whose size the compiler cannot see."""
    indices: list[torch.fx.Node | None] = []
    for index in cast(Sequence[torch.fx.Node | None], node.args[1]):
        value = known.get(index) if index is not None else None
        if value is None or value.dtype != torch.bool:
            indices.append(index)
        else:
            indices.extend(as_input(places) for places in value.nonzero(as_tuple=True))
    node.update_arg(1, indices)


def is_random(node: torch.fx.Node) -> bool:
    """Whether an operation draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _refuse_randomness(graph: torch.fx.GraphModule) -> None:
    used = ancestors(graph.graph.output_node())
    if any(is_random(node) for node in used):
        raise ModelError(
            "the model's density changes from call to call because it draws random numbers "
            "outside pyro.sample: NUTS needs the same density every time"
        )


def ancestors(node: torch.fx.Node) -> set[torch.fx.Node]:
    """All that a node is computed from."""
    found: set[torch.fx.Node] = set()
    queue = [node]
    while queue:
        new = [each for each in queue.pop().all_input_nodes if each not in found]
        found.update(new)
        queue.extend(new)
    return found


def _compiled(graph: torch.fx.GraphModule, inputs: Sequence[torch.Tensor]) -> Callable[..., Any]:
    """Return a graph as a kernel, compiled at its first use."""
    shapes = [(tuple(each.shape), str(each.dtype)) for each in inputs]
    key = f"{graph.code}{shapes}"
    if key not in _kernels:
        with uninterrupted():  # takes seconds to import; only compiling needs it
            from torch import _inductor  # noqa: F401
            from torch._inductor.utils import fresh_inductor_cache

        try:
            _kernels[key] = _built(graph, inputs)
        except Exception:  # noqa: BLE001  what inductor keeps on disk may be damaged: do without it
            with fresh_inductor_cache():
                _kernels[key] = _built(graph, inputs)
    return _kernels[key]


def _built(graph: torch.fx.GraphModule, inputs: Sequence[torch.Tensor]) -> Callable[..., Any]:
    from torch import _inductor as inductor

    with torch.no_grad():
        kernel: Callable[..., Any] = inductor.compile(graph, list(inputs), options=OPTIONS)
        kernel(*inputs)  # compiled by now, and in memory before chains start
    return kernel
