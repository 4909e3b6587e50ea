"""``python -m bayes_pref.cli`` is the command bayes-pref."""

from bayes_pref.cli.entry import main

raise SystemExit(main())
