"""What a run of i-PI has come to, as plain data and as a page: ``beadwise report``, and what ``beadwise watch`` shows.

`content.RunContent` reads the files of a run, finished or going on, and gives a dictionary that JSON can hold; `page`
makes HTML of it.  Nothing else than the files is asked, so that runs that i-PI was started for by hand, on another
machine or years ago, have the same page.  What cannot be read is a message in it.

The dictionary, whose numbers are finite or None, and whose text is plain and not escaped:

``title`` : str
    The prefix of the outputs.
``made`` : str
    When it was read, ``2026-11-29 15:40:12 UTC``.
``run`` : dict
    Facts: ``folder`` and ``file`` (the input or RESTART), ``state`` (``running``, ``finished``, ``stopped`` or
    ``unknown``) with its sentence ``state_text``, ``step``, ``total_steps``, ``time`` in ps, ``atoms``, ``formula``,
    ``beads``, ``systems``, ``temperature`` in K, ``timestep`` in fs, ``dynamics``, ``cell`` (rows in Å), ``models``
    (text by force field; empty where nobody wrote them down), ``started`` and ``ended``.  What is not known is None.
``verdicts`` : list of dict
    The checks, each ``name``, ``label``, ``colour`` (``good``, ``fair``, ``bad`` or ``unknown``), ``sentence``.
``series`` : list of dict
    Properties against time, at most some hundred points: ``name``, ``label``, ``unit``, ``x_label``, ``x``, ``y``
    (means over equal pieces), ``low`` and ``high`` (extremes of each piece; None where each is one row), ``mean``
    (None, or ``value``, ``error``, ``independent`` samples and ``begins``, the x from where it is taken), ``target``
    (None, or what the run aims at), and of the conserved quantity ``drift`` (None, or ``value`` and ``error`` in meV
    per atom and ps).
``spectra`` : list of dict
    ``kind``, ``title``, ``preliminary`` (why it may still change, in a few words; empty if it will not), ``remark``
    (one line on data and errors), ``bands`` (each ``position``, ``position_error`` in cm⁻¹, ``height``,
    ``height_error``), ``x_label``, ``x``, ``marks`` (positions of experiment), ``notes`` (text by topic), ``samples``,
    and ``panels``: each a ``label`` with its unit and ``curves``, of which each has ``name``, ``y``, ``error`` (None,
    or the standard error), ``model_error`` (None, or the deviation of members), ``model_label`` and ``members`` (each
    ``name`` and ``y``).
``profiles`` : list of dict
    Free energies in eV: ``variable``, ``x``, ``thermal_energy`` in eV, ``preliminary``, ``remark``, ``notes``, and
    ``curves`` with ``name``, ``y`` and ``error``.
``uncertainties`` : list of dict
    As ``series``: what the members of a committee and the alarms of a model said along the run; ``worst`` is the number
    that the verdict is about.
``structure`` : dict or None
    ``symbols``, ``frames`` (each ``step``, ``time`` in ps or None, ``positions`` in Å, ``cell`` rows in Å), ``what``
    (of the positions: ``centroid`` or ``bead 0``), and ``colours``: what atoms can be coloured by, each ``name``,
    ``unit`` and ``values`` (frames, atoms).
``messages`` : list of dict
    ``level`` (``failure``, ``warning`` or ``note``), ``source`` (``i-PI``, ``beadwise`` or ``report``) and ``text``.
``input`` : dict
    ``name`` and ``text``, long lists of numbers shortened.
``has_log``, ``has_events`` : bool
    Whether there is what i-PI printed, and what `beadwise run` wrote down of itself.
``versions`` : dict of str to str
    By name of the package; ``versions_of`` says whether they are of the ``run`` or of this ``report``.
``cite`` : list of str
    What to cite, a line each.
"""
