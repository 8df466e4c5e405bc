"""A run as one page: `index.html` beside the result file, self-contained, made from the result file alone.

    python -m chainrule.conformance.report results.jsonl             the page of a run
    python -m chainrule.conformance.report a.jsonl b.jsonl           the scoreboard: one column an implementation
"""
