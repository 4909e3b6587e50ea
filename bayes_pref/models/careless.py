"""Users who answer at random: the Pyro site of choices of which some are theirs.

    careless_share ~ Beta(1, 9)                 10 % on average, below 28 % with probability 0.95
    careless_i ~ Bernoulli(careless_share)      user i answers everything at random

Where careless_i = 1 every outcome of a row, or alternative of a stage, is equally likely. The
indicator is marginalised out given the weights, and drawn given these and the choices by inverting
its distribution function at Phi(`pick`), where `pick` is a standard normal site on which nothing
else depends: as the components of `MixtureReward` are.

It is all of a user's answers or none, because that is what few answers can tell: their probability
under any weights of the population, integrated out, against that of a coin. A rate of lapses of
each user's own, between 0 and 1, is hardly told from small weights. Answers of the others may lapse
at a common rate (`lapse=True`). Shares of careless people in surveys are about 10 % (Meade & Craig
2012, Psychol. Methods 17); response sets of all or none as latent classes: Yamamoto (1989, HYBRID
model).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch

from bayes_pref.errors import ModelError
from bayes_pref.models.choice.effects import double
from bayes_pref.models.choice.outcome_distribution import OutcomeDistribution
from bayes_pref.models.choice.plackett_luce import StageDistribution
from bayes_pref.models.design import Batch
from bayes_pref.models.relabelling import ComponentMixture, add_by_user
from bayes_pref.models.spec import PopulationSpec

Tensor = torch.Tensor


def observe_choices(
    spec: PopulationSpec,
    everyone: pyro.plate,
    batch: Batch,
    likelihood: Callable[[Tensor], Any],
    eta: Tensor,
) -> None:
    """Observe the choices of users of whom some may answer at random; records who.

    Parameters
    ----------
    spec
        How users differ.
    everyone, batch
        The plate of users, and their rows.
    likelihood
        Distribution of choices as a function of eta.
    eta
        (rows,) log-odds.
    """
    made = likelihood(eta)
    if spec.careless is None:
        with batch.plate():
            pyro.sample("choice", made, obs=batch.choice)
        return
    share = pyro.sample("careless_share", dist.Beta(*map(double, spec.careless)))
    even = evenly(made)
    with everyone as users:
        count = len(users)
        pick = pyro.sample("pick", dist.Normal(torch.zeros(count, dtype=torch.float64), 1.0))
        log_share = torch.stack([torch.log1p(-share), torch.log(share)]).expand(count, 2)

        def by_user(choice: Tensor) -> Tensor:
            rows = torch.stack([made.log_prob(choice), even.log_prob(choice)], dim=-1)
            return add_by_user(rows, batch.user, count)

        def draw(careless: Tensor) -> Tensor:
            return torch.where(careless[batch.user] == 1, even.sample(), made.sample())

        mixture = ComponentMixture(log_share, by_user, draw)
        choice = pyro.sample("choice", mixture, obs=batch.choice)
        chance = mixture.joint(choice).softmax(-1)[:, 1]
        careless = (torch.special.ndtr(pick) < chance).to(eta)
        pyro.deterministic("careless", careless, event_dim=0)


def evenly(made: Any) -> Any:
    """Return the distribution of answers at random to the same questions.

    Examples
    --------
    >>> evenly(dist.Bernoulli(logits=torch.tensor([3.0]))).probs
    tensor([0.5000])
    """
    if isinstance(made, StageDistribution):
        return StageDistribution(torch.zeros_like(made.eta), made.table, made.there)
    if isinstance(made, OutcomeDistribution):
        each = made.log_probabilities
        return OutcomeDistribution(torch.full_like(each, -math.log(len(each))))
    if isinstance(made, dist.Bernoulli):
        return dist.Bernoulli(logits=torch.zeros_like(made.logits))
    raise ModelError(
        f"reliability=True: answers at random are not known for choices distributed as "
        f"{type(made).__name__}; let the choice model give log_outcomes alone"
    )
