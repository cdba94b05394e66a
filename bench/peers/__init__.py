"""The same faults for other software that carries measurements from a plant, and for our own line beside it."""
