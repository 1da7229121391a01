"""What a config means, for ``mm2pl explain``: the plan in words, its schedules drawn, its groups.

:mod:`~mm2pl.explain.page` and what it is made of import neither torch nor Lightning;
:mod:`~mm2pl.explain.curves` and :mod:`~mm2pl.explain.parameters` do, and are imported on demand.
"""
