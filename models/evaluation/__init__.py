"""How good are alarms over months of production? Traces of scores and the truth in, figures with intervals out."""
