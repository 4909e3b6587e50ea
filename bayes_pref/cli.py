"""The command ``bayes-pref``: a table of choices in, every person's reward function out."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bayes_pref import plots
from bayes_pref.data import Comparisons
from bayes_pref.demo import run_demo
from bayes_pref.errors import BayesPrefError, ConvergenceWarning, DataError, DataWarning, ModelError
from bayes_pref.estimates import check_interval
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, PooledReward, RewardModel
from bayes_pref.output_folder import OutputFolder
from bayes_pref.posterior import Posterior
from bayes_pref.screen import in_options, paragraph, summary_text
from bayes_pref.tables import SourceTable, feature_columns, read_table, whole_number_labels
from bayes_pref.validate import Table, listed

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
REFUSED = 2
_SAVED = "posterior.nc"
_MOST_TRACED = 20
