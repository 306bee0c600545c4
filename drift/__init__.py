"""Windows of logged predictions become verdicts, alerts and retraining cases.

The judgement is pure: `policy` says what is wanted, `windows` when, `columns` turns sealed
bodies into arrays, `faults`, `evidence` and `rule` say what is wrong with them, and `judge`
puts the answer into the body of one DriftMeasured event. Evidently stays behind `evidence`.
"""
