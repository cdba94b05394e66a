"""How an event is told to each kind of receiver: pure functions from a message to the headers and body of a call."""
