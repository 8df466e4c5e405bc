"""The suite that judges a backend; `pytest --pyargs chainrule.conformance.suite` runs it."""
