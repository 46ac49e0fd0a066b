"""Commands of docs/how_to/ferroelectrics.md, which tests look up and do not run."""

REASON = "it takes minutes; tests/docs/test_shell_model.py takes its parts"
SHELL_MODEL = {
    "python REPOSITORY/docs/batio3/shell_frames.py start start.xyz": REASON,
    "python REPOSITORY/docs/batio3/against_shell_model.py visit": REASON,
    "for run in visit_*; do (cd $run && i-pi input.xml); done": REASON,
    "python REPOSITORY/docs/batio3/shell_frames.py visited visited.xyz visit_*/npt.pos_0.extxyz": REASON,
    "python REPOSITORY/docs/batio3/shell_frames.py distorted distorted.xyz 120": REASON,
    "beadwise fit batio3_shell_fit.toml": REASON,
    "python REPOSITORY/docs/batio3/against_shell_model.py prepare": REASON,
    "for run in shell_*_? fitted_*_?; do (cd $run && i-pi input.xml); done": REASON,
    "python REPOSITORY/docs/batio3/against_shell_model.py measure": REASON,
    "python REPOSITORY/docs/batio3/against_shell_model.py draw": REASON,
}
